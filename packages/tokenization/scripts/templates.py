"""Records what transformers renders for each shipped template: python templates.py > ../src/fixtures/templates.golden.json"""
import json
from pathlib import Path

import transformers
from transformers import PreTrainedTokenizerFast
from transformers.utils.chat_template_utils import render_jinja_template

templates = json.loads((Path(__file__).parent / "../src/chat/templates.json").read_text())
say = lambda role, content: {"role": role, "content": content}
conversations = [
    [say("user", "Where does the river go?"), say("assistant", "To the lake.")],
    [say("system", "Answer in one word."), say("user", " Is it open? "), say("assistant", "  Yes.\n"), say("user", "Today?"), say("assistant", "No 🙂")],
    [say("user", "List two birds.\n- one per line"), say("assistant", "- wren\n- robin\n"), say("user", "Thanks")],
    [say("system", "You sell bread."), say("user", "One loaf, please.")],
    [say("user", "Say nothing."), say("assistant", "")],
]
fixtures = Path(__file__).parent / "../src/fixtures"
models = {
    base: PreTrainedTokenizerFast(tokenizer_file=str(fixtures / f"{base}.tokenizer.json"), bos_token="<s>", eos_token="</s>")
    for base in ("bytes", "chars")
}
out = {"made_with": f"transformers {transformers.__version__}", "conversations": conversations, "rendered": {}}
for name, entry in templates.items():
    source = "\n".join(entry["lines"])
    out["rendered"][name] = []
    for messages in conversations:
        prompt = messages[-1]["role"] == "user"
        (text,), (spans,) = render_jinja_template(
            [messages], chat_template=source, return_assistant_tokens_mask=True, add_generation_prompt=prompt, bos_token="<s>", eos_token="</s>"
        )
        case = {"text": text, "spans": spans, "masks": {}}
        for base, tokenizer in models.items():
            encoded = tokenizer.apply_chat_template(
                messages, chat_template=source, tokenize=True, return_dict=True, return_assistant_tokens_mask=True, add_generation_prompt=prompt
            )
            case["masks"][base] = "".join(map(str, encoded["assistant_masks"]))
        out["rendered"][name].append(case)
print(json.dumps(out, indent=1))
