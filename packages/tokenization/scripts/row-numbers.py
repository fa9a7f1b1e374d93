"""Records what transformers prints for rows whose numbers and keys are easily lost: python row-numbers.py > ../src/fixtures/row-numbers.golden.json

Each row is given as the JSON text of a line; `text` is what a template prints of it after Python's json has read it.
"""
import json

import transformers
from transformers.utils.chat_template_utils import _compile_jinja_template as compile_template

TEMPLATE = (
    "{% for tool in tools or [] %}{{ tool | tojson }}\n{% endfor %}"
    "{% for m in messages %}[{{ m.role }}]{{ m.content if m.content is not none else '' }}"
    "{% for c in m.tool_calls or [] %}{{ c.function.arguments | tojson }}|{{ c.function.arguments }}{% endfor %}\n{% endfor %}"
    "{{ documents }}{{ rate }}{% for k, v in (limits or {}).items() %}{{ k }}={{ v }};{% endfor %}"
)
ROWS = [
    '{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":null,"tool_calls":[{"type":"function","function":{"name":"f","arguments":{"city":"Bern","price":20.0,"10":1,"9":2.0,"id":9007199254740993,"big":1e22,"small":-0.0,"e":1E-7}}}]}]}',
    '{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"}],"tools":[{"10":1.0,"name":"f","9":{"minimum":0.0,"maximum":100000000000000000000}}]}',
    '{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"}],"documents":[{"2":3.0,"1":"x"}],"chat_template_kwargs":{"rate":1.0,"limits":{"20":1.50,"3":NaN,"a":-Infinity}}}',
]
render = compile_template(TEMPLATE)
cases = []
for row in ROWS:
    read = json.loads(row)
    variables = {"messages": read["messages"], "tools": read.get("tools"), "documents": read.get("documents"), **read.get("chat_template_kwargs", {})}
    cases.append({"row": row, "text": render.render(add_generation_prompt=False, **variables)})
print(json.dumps({"versions": {"transformers": transformers.__version__}, "template": TEMPLATE, "cases": cases}, ensure_ascii=False, indent=1))
