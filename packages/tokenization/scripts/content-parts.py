"""Records what transformers prints of lists of content parts, as they are (which TRL hands on too) and joined:
python content-parts.py > ../src/fixtures/content-parts.golden.json

The templates are written for this purpose. `takes` says of which roles a template takes lists, `takes one` of which it takes
lists of a single part and no texts; null where it prints something else.
"""
import json

import transformers
from transformers.utils.chat_template_utils import render_jinja_template

HEAD = "{% for m in messages %}<|{{ m.role }}|>"
TAIL = "<|end|>{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}"
ITEMS = "{% for part in m.content %}{% if part.type == 'text' %}{{ part.text | trim }};{% endif %}{% endfor %}"
ALL = ["system", "user", "assistant", "tool"]
TEMPLATES = {
    "each part trimmed (Gemma 3)": (HEAD + "{% if m.content is string %}{{ m.content | trim }}{% else %}" + ITEMS + "{% endif %}" + TAIL, ALL),
    "lists only (SmolVLM)": (HEAD + ITEMS + TAIL, ALL),
    "a macro (GLM 4.5)": ("{% macro visible(c) %}{% if c is string %}{{ c }}{% elif c is iterable and c is not mapping %}{% for p in c %}{{ p.text }}{{ '\\n' }}{% endfor %}{% endif %}{% endmacro %}" + HEAD + "{{ visible(m.content) }}" + TAIL, ALL),
    "lists of the user only (Pixtral)": (HEAD + "{% if m.role == 'user' and m.content is not string %}" + ITEMS + "{% else %}{{ '' + m.content }}{% endif %}" + TAIL, ["user"]),
    "the first part only": (HEAD + "{{ m.content if m.content is string else m.content[0].text }}" + TAIL, []),
    "the first of a list only (LLaVA-NeXT)": (HEAD + "{% if m.role == 'user' %}" + ITEMS + "{% else %}{{ ' ' + m.content[0]['text'] }}{% endif %}" + TAIL, ["user"], ["system", "assistant", "tool"]),
    "text only, others left out (Qwen3)": (HEAD + "{{ m.content if m.content is string else '' }}" + TAIL, []),
    "printed as they are (Llama 3.1)": (HEAD + "{{ m.content | trim }}" + TAIL, []),
    "as JSON": (HEAD + "{{ m.content if m.content is string else m.content | tojson }}" + TAIL, []),
    "added to a text": (HEAD + "{{ ' ' + m.content }}" + TAIL, []),
    "refused": (HEAD + "{% if m.content is not string %}{{ raise_exception('text only') }}{% endif %}{{ m.content }}" + TAIL, []),
    "thoughts too (Magistral)": (HEAD + "{% if m.content is string %}{{ m.content }}{% else %}{% for p in m.content %}{{ '[THINK]' + p.thinking + '[/THINK]' if p.type == 'thinking' else p.text }}{% endfor %}{% endif %}" + TAIL, ALL),
}
part = lambda text: {"type": "text", "text": text}
call = {"id": "call00001", "type": "function", "function": {"name": "look", "arguments": {}}}
say = lambda role, *texts, **more: {"role": role, "content": [part(t) for t in texts], **more}
ROWS = {
    "one part": [say("user", " Where is it? "), say("assistant", "There.")],
    "several parts": [say("system", "Be brief.", " Be kind."), say("user", "Where ", "is it?"), say("assistant", "There", " it is. ")],
    "lists and texts": [{"role": "user", "content": "Where?"}, {"role": "assistant", "content": "There."}, say("user", "Why ", "there?"), say("assistant", "'So' ", '"it" is.')],
    "results": [say("user", "Look "), {"role": "assistant", "content": "", "tool_calls": [call]}, say("tool", "sky ", "clear", tool_call_id="call00001", name="look"), say("assistant", "It is ", "clear.")],
}
joined = lambda content: content if isinstance(content, str) else "".join(p["text"] for p in content)


def render(messages, template):
    try:
        return render_jinja_template([messages], chat_template=template, bos_token="<s>", eos_token="</s>")[0][0]
    except Exception as error:
        return None


out = {"made_with": f"transformers {transformers.__version__}", "rows": ROWS, "templates": {}}
def fit(message, takes, takes_one):
    content = message["content"]
    if isinstance(content, str) or message["role"] in takes:
        return message
    return {**message, "content": [part(joined(content))] if message["role"] in takes_one else joined(content)}


for name, (template, takes, *one) in TEMPLATES.items():
    takes_one = one[0] if one else []
    out["templates"][name] = {
        "template": template,
        "takes": takes,
        "takes one": takes_one,
        "as they are": {title: render(messages, template) for title, messages in ROWS.items()},
        "fitted": {title: render([fit(m, takes, takes_one) for m in messages], template) for title, messages in ROWS.items()},
    }
print(json.dumps(out, indent=1, ensure_ascii=False))
