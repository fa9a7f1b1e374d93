"""Records what Jinja2 (with transformers' settings) prints for small templates: python jinja.py > ../src/fixtures/jinja.golden.json"""
import json

import jinja2
import transformers
from transformers.utils.chat_template_utils import _compile_jinja_template as compile_template

DATA = {
    "name": "Ada", "n": 7, "x": 2.5, "big": 1234567, "yes": True, "no": False, "nothing": None, "empty": "",
    "words": ["pear", "Apple", "fig", "apple"], "nums": [3, 1, 2], "mixed": [1, "a", None, True, 1.5],
    "d": {"b": 1, "a": "two", "items": "mine", "nested": {"k": [1, {"z": None}]}},
    "rows": [{"name": "x", "age": 3, "tags": ["p"]}, {"name": "y", "age": 1}, {"name": "z", "age": 2, "ok": True}],
    "odd": "  Élan vital 🦜 'quoted' \"both\"\t\n", "quote": "it's \"so\"", "lines": "one\n\n  two\r\nthree\n",
}
EXPRESSIONS = """
name|upper ~ '!' ; odd|trim ; odd|length ; name[0] ~ name[-1] ; name[1:] ~ name[:-1] ; name[::-1] ; words[1:3] ; nums|sort ; words|sort
words|sort(reverse=true) ; words|sort(case_sensitive=true) ; rows|sort(attribute='age')|map(attribute='name')|join(',') ; rows|map(attribute='age')|list
rows|selectattr('ok')|list|length ; rows|selectattr('ok','defined')|map(attribute='name')|list ; rows|rejectattr('tags','defined')|map(attribute='name')|join
words|select('equalto','fig')|list ; nums|reject('odd')|list ; nums|select('greaterthan', 1)|list ; words|map('upper')|join('-') ; words|map('replace','p','b')|list
words|unique|list ; nums|sum ; nums|max ; words|min ; words|first ; words|last ; words|reverse|list ; nums|join('+') ; words|join ; [[1,2],[3]]|map('length')|list
x|round ; 2.345|round(2) ; 7.5|int ; '42'|int + 1 ; 'abc'|int(5) ; '3.5'|float ; n / 2 ; n // 2 ; n % 3 ; -n // 2 ; -n % 3 ; 2 ** 3 ; 7.0 ; n * 1.0 ; 10 / 5
yes ; no ; nothing ; missing ; [yes, nothing, 'a', 1.0] ; {'a': 1, 'b': [none]} ; (1, 2) ; mixed ; d ; quote ; [quote] ; [odd] ; mixed|string ; nothing|string
d.b ; d['a'] ; d['items'] ; d.get('zz', 'dflt') ; d.get('zz') ; d.nested.k[1].z ; d.items()|list ; d.keys()|list ; d.values()|list|length ; d|items|list ; d|dictsort|first ; 'b' in d ; 'zz' not in d
d|tojson ; d|tojson(indent=2) ; odd|tojson ; mixed|tojson ; x|tojson ; big|tojson ; {}|tojson ; []|tojson(indent=4) ; d|tojson(separators=(',', ':')) ; d|tojson(sort_keys=true) ; odd|tojson(ensure_ascii=true) ; '<a href="x">&\\'</a>'|tojson
'a,b,c'.split(',') ; 'a,b,c'.split(',', 1) ; '  a b  c '.split() ; ' a b c '.split(none, 1) ; 'a-b-c'.rsplit('-', 1) ; lines.splitlines() ; 'x'.join(['1','2']) ; 'Hello'.startswith('He') ; 'Hello'.endswith(('x','lo'))
name.lower() ; name.replace('a','o') ; 'aaa'.replace('a','b',2) ; 'hello world'.title() ; "it's bob's".title() ; 'hELLO wORLD'.capitalize() ; 'xxabxx'.strip('x') ; 'xxabxx'.lstrip('x') ; ' ab '.rstrip() ~ '|' ; 'abcabc'.find('c') ; 'abcabc'.rfind('c') ; 'abc'.find('z') ; 'abcabc'.count('bc') ; 'abc'.index('b') ; 'key=val=x'.partition('=') ; 'key=val=x'.rpartition('=') ; '12'.isdigit() ; 'ab1'.isalpha() ; 'AB'.isupper() ; ' '.isspace() ; '7'.zfill(3) ; 'ab'.center(5)~'|' ; 'prefix-x'.removeprefix('prefix-') ; '{} and {b}'.format(1, b=2)
'%s has %d' % ('a', 3) ; '%s' % name ; '%.2f' % 3.14159 ; '%05d' % 42 ; 'ab' * 3 ; [1] * 2 ; [1] + [2] ; 'a' ~ 1 ~ none ~ true ; 1 + 1 ; 'a' + 'b'
1 < 2 ; 'a' < 'b' ; 1 == 1.0 ; [1] == [1] ; {'a': 1} == {'a': 1} ; 'a' != 'b' ; 1 == '1' ; true == 1 ; none == false ; missing == none ; 'a' in 'abc' ; 2 in nums ; 'fig' in words ; not yes ; yes and n ; no or name ; empty or 'e' ; nothing and 1
n is odd ; n is even ; name is string ; n is number ; x is float ; n is integer ; yes is boolean ; yes is number ; nothing is none ; missing is defined ; missing is undefined ; d is mapping ; words is iterable ; name is iterable ; words is sequence ; name is sequence ; d is sequence ; name is not none ; 'ab' is lower ; 'AB' is upper ; yes is true ; no is false ; range is callable
name if yes else 'other' ; (name if no) ; 'a' if no else 'b' if no else 'c' ; missing|default('x') ; empty|default('x') ; empty|default('x', true) ; nothing|default('x') ; nothing|default('x', true) ; d.zz|default('gone') ; range(3)|list ; range(1, 7, 2)|list ; range(5, 0, -2)|list ; name|indent ; lines|indent(2) ; lines|indent(2, first=true) ; lines|indent(1, blank=true) ; lines|wordcount ; 'a b c d e'|truncate(5, true, '..', 0) ; [1,2,3,4,5]|batch(2)|list ; '<b>'|escape ; '<b>'|safe ; name|list ; -x|abs ; 'x'|capitalize ; 'some words here'|title ; nums|length ; d|length ; dict(a=1, b=2) ; namespace(a=1).a ; words|map('length')|sum ; 'áß'|upper ; rows[0].tags[0] ; rows[-1]['name'] ; rows[0].missing ; words[10] ; 'é'|tojson ; 1.0|tojson ; 123456789012345680.0 ; 0.1 + 0.2 ; 3.0 * 2 ; 7 // 2.0 ; 'tab\\tnew\\nline'
""".replace("\n", ";").split(";")
TEMPLATES = [
    "{% for w in words %}{{ loop.index }}:{{ w }}{% if not loop.last %}, {% endif %}{% endfor %}",
    "{% for w in words if w != 'fig' %}{{ loop.index0 }}/{{ loop.length }}/{{ loop.revindex }}{{ w }} {% else %}none{% endfor %}",
    "{% for w in [] %}x{% else %}empty{% endfor %}",
    "{% for k, v in d.items() %}{{ k }}={{ v }};{% endfor %}",
    "{% for k in d %}{{ k }}{% endfor %}|{% for c in 'añb' %}<{{ c }}>{% endfor %}",
    "{% for i in range(6) %}{% if i == 1 %}skip{% continue %}{% endif %}{% if i == 4 %}stop{% break %}{% endif %}{{ i }}{% endfor %}",
    "{% for a in [1,2] %}{% for b in [3,4] %}{{ a * b }}{{ loop.first }}{% endfor %}{{ loop.last }}{% endfor %}",
    "{% set v = 1 %}{% for i in nums %}{% set v = v + i %}{{ v }}{% endfor %}{{ v }}",
    "{% set ns = namespace(t=0, s='') %}{% for i in nums %}{% set ns.t = ns.t + i %}{% set ns.s = ns.s ~ i %}{% endfor %}{{ ns.t }}{{ ns.s }}",
    "{% set a, b = 1, 2 %}{{ a }}{{ b }}{% set block %}in {{ name }}{% endset %}[{{ block }}]",
    "{% if n > 5 %}big{% elif n > 3 %}mid{% else %}small{% endif %}{% if missing %}no{% endif %}{% if words and d and name %}all{% endif %}",
    "{% macro m(a, b='x', c=none) %}{{ a }}-{{ b }}-{{ c }};{% endmacro %}{{ m(1) }}{{ m(1, 2, 3) }}{{ m(b=1, a=2) }}{{ m() }}{{ m(none, none) }}",
    "{% macro outer() %}[{{ caller('q') }}]{% endmacro %}{% call(p) outer() %}got {{ p }} {{ name }}{% endcall %}",
    "{% macro f(n) %}{% if n > 0 %}{{ n }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(4) }}",
    "{% macro v() %}{{ varargs }}{{ kwargs }}{% endmacro %}{{ v(1, 2, k=3) }}",
    "{% filter upper %}abc {{ name }}{% endfilter %}",
    "  {% if yes %}\n    text\n  {% endif %}\nafter\n",
    "{%- if yes -%}\n   a   \n{%- endif -%}\n  b  \n",
    "a\n  {{- name }}\n  {{ name -}}\n  b",
    "a {# comment #} b\n{# line #}\nc {#- trim -#} d",
    "  {% set q = 1 %}\n{{ q }}\n\n",
    "{{ 'a' 'b' }}{{ \"it's\" }}{{ 'say \"x\"' }}{{ '{% not %}' }}{{ '}}' }}",
    "{% for m in rows %}{{ m['name'] + ':' + m.age|string }}{{ '\\n' if not loop.last }}{% endfor %}",
    "{% for m in rows %}{% if loop.previtem is defined %}<{{ loop.previtem.name }}{% endif %}{% if loop.nextitem is defined %}>{{ loop.nextitem.name }}{% endif %}{{ loop.cycle('a', 'b') }}{% endfor %}",
    "{% for x in nums %}{% for y in nums %}{% if y == x %}{% break %}{% endif %}{{ y }}{% endfor %};{% endfor %}",
    "{% set s = 'outer' %}{% if yes %}{% set s = 'inner' %}{% endif %}{{ s }}",
    "{% set loop_messages = rows[1:] %}{% for m in loop_messages %}{% set content = '<' ~ m.name ~ '>' %}{{ content }}{% endfor %}{{ content is defined }}",
    "{{ name.foo }}|{{ d.foo }}|{{ nums.foo }}|{{ rows[0].foo is defined }}",
    "x{% raw %}{{ not }}{% endraw %}y" if False else "x",
    "{{ raise_exception('stop here: ' ~ name) }}", "{{ missing.x }}", "{{ missing + 1 }}", "{{ 'a' + 1 }}", "{{ 1 + nothing }}", "{{ missing() }}", "{{ d.foo.bar }}", "{{ name|nofilter }}", "{{ name is notest }}", "{{ 1 // 0 }}", "{{ nums.append(1) }}", "{% for i in 5 %}{% endfor %}", "{{ 'a' < 1 }}", "{{ [1]|tojson|length }}", "{{ nothing|length }}", "{% set d.x = 1 %}", "{% if %}", "{{ (1 }}", "{% for %}", "{% endif %}",
]
cases = []
for template in [("{{ " + e.strip() + " }}") for e in EXPRESSIONS if e.strip()] + TEMPLATES:
    case = {"template": template}
    try:
        case["text"] = compile_template(template).render(**DATA)
    except Exception as e:
        case["error"] = f"{type(e).__name__}: {e}"
    cases.append(case)
print(json.dumps({"made_with": f"jinja2 {jinja2.__version__}, transformers {transformers.__version__}", "variables": DATA, "cases": cases}, indent=1))
