"""Records which text TRL's training templates mark as the assistant's: python trl-masks.py > ../src/fixtures/trl-masks.golden.json

The templates are not ours to copy: the test that uses this reads them from the folder TUNESMITH_TRL_TEMPLATES names
(site-packages/trl/chat_templates of the same version). Conversations are those of turns.py.
"""
import contextlib
import io
import json
from pathlib import Path

import transformers
import trl
from transformers.utils.chat_template_utils import render_jinja_template

with contextlib.redirect_stdout(io.StringIO()):
    from turns import CONVERSATIONS, tools

folder = Path(trl.__file__).parent / "chat_templates"
out = {"made_with": f"trl {trl.__version__}, transformers {transformers.__version__}", "said": {}}
for path in sorted(folder.glob("*.jinja")):
    source = path.read_text()
    if "endgeneration" not in source:
        continue
    out["said"][path.stem] = {}
    for title, messages in CONVERSATIONS.items():
        if title in ("parts", "open"):
            continue
        called = any("tool_calls" in m for m in messages)
        try:
            (text,), (spans,) = render_jinja_template(
                [messages], chat_template=source, tools=tools if called else None, return_assistant_tokens_mask=True, bos_token="<s>", eos_token="</s>"
            )
        except Exception:
            continue
        # Tags beside one another are one piece.
        pieces = []
        for start, end in spans:
            if pieces and start == pieces[-1][1]:
                pieces[-1][1] = end
            elif end > start:
                pieces.append([start, end])
        out["said"][path.stem][title] = [text[start:end] for start, end in pieces]
print(json.dumps(out, ensure_ascii=False, separators=(",", ":")))
