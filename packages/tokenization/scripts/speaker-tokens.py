"""Records what is trained under a template that ends turns with the token of the next speaker:
python speaker-tokens.py > ../src/fixtures/speaker-tokens.golden.json

TRL's training template for GLM 4.5 moves that token into the turn before it, at the end of a conversation too. TAGGED does the
same to TEMPLATE, which is written in the style of GLM 4.5 for this purpose.
"""
import contextlib
import io
import json

import transformers
from transformers.utils.chat_template_utils import render_jinja_template

with contextlib.redirect_stdout(io.StringIO()):
    from turns import CONVERSATIONS, tools

SAID = "{{ '\\n' }}<think>{{ m.reasoning_content or '' }}</think>{% if m.content %}{{ '\\n' + m.content | trim }}{% endif %}{% for c in m.tool_calls or [] %}{{ '\\n' }}<tool_call>{{ c.function.name }}{% for k, v in c.function.arguments.items() %}{{ '\\n' }}<arg_key>{{ k }}</arg_key>{{ '\\n' }}<arg_value>{{ v }}</arg_value>{% endfor %}{{ '\\n' }}</tool_call>{% endfor %}"
RESULT = "{{ '\\n' }}<tool_response>{{ m.content }}</tool_response>"
LOOP = "[gMASK]<sop>{% if tools %}<|system|>{{ '\\n' }}{{ tools | tojson }}{% endif %}{% for m in messages %}"
END = "{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}"
TEMPLATE = (
    LOOP + "{% if m.role == 'assistant' %}<|assistant|>" + SAID
    + "{% elif m.role == 'tool' %}{% if messages[loop.index0 - 1].role != 'tool' %}<|observation|>{% endif %}" + RESULT
    + "{% else %}<|{{ m.role }}|>{{ '\\n' + m.content }}{% endif %}" + END
)
TAGGED = (
    LOOP + "{% if m.role == 'assistant' %}<|assistant|>{% generation %}" + SAID
    + "{{ '<|observation|>' if m.tool_calls else '<|user|>' }}{% endgeneration %}"
    + "{% elif m.role == 'tool' %}{% if messages[loop.index0 - 1].role not in ('tool', 'assistant') %}<|observation|>{% endif %}" + RESULT
    + "{% else %}{% if loop.first or messages[loop.index0 - 1].role != 'assistant' %}<|{{ m.role }}|>{% endif %}{{ '\\n' + m.content }}{% endif %}" + END
)
rows = {}
for title, messages in CONVERSATIONS.items():
    if title == "parts" or messages[-1]["role"] != "assistant":
        continue
    called = any("tool_calls" in m for m in messages)
    (text,), (spans,) = render_jinja_template(
        [messages], chat_template=TAGGED, tools=tools if called else None, return_assistant_tokens_mask=True, bos_token="<s>", eos_token="</s>"
    )
    rows[title] = {"messages": messages, "text": text, "said": [text[start:end] for start, end in spans]}
print(json.dumps({"made_with": f"transformers {transformers.__version__}", "template": TEMPLATE, "tools": tools, "rows": rows}, indent=1, ensure_ascii=False))
