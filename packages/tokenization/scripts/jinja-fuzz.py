"""Makes random templates and records what Jinja2 (as transformers compiles) prints for them.

    python jinja-fuzz.py COUNT SEED > cases.json

With 2000 and 1 this is ../src/fixtures/jinja-fuzz.golden.json. A case is [template, text] or [template, null] where Python raises.
In the variables, what JSON or JavaScript's objects cannot say is written {"$float": "20.0"}, {"$int": "9007199254740993"}, {"$dict": [[key, value]]}.
"""
import copy
import json
import random
import re
import sys
import warnings

import jinja2
import transformers
from tagged import tagged
from transformers.utils.chat_template_utils import _cached_compile_jinja_template as compile_template

warnings.simplefilter("ignore")
sys.setrecursionlimit(3000)

VARIABLES = {
    "name": "Ada", "empty": "", "odd": "  Élan vital 🦜 'quoted' \"both\"\t\n", "quote": "it's \"so\"",
    "lines": "one\n\n  two\r\nthree\n", "uni": "ǆungla straße ΑΣ ﬁn İı", "html": "<p class=\"x\">Tom &amp; Jerry</p> <!-- no --> &lt;ok",
    "words_text": "The quick-brown fox -- jumps over the well-known, lazy dogs; see http://example.com/a_(b) or mail me@x.org.",
    "digits": "42", "decimal": " -3.50 ", "hex": "0x1F", "csv": "a,b,,c", "pad": "--x--",
    "i": 7, "zero": 0, "neg": -3, "big": 9007199254740993, "huge": 2**70, "f": 2.5, "whole": 20.0, "tiny": 1e-07, "large": 1e16, "nz": -0.0,
    "yes": True, "no": False, "nothing": None,
    "words": ["pear", "Apple", "fig", "apple"], "nums": [3, 1, 2], "floats": [1.5, 20.0, -2.25], "mixed": [1, "a", None, True, 1.5], "none_list": [None, 1, None],
    "nested": [[1, 2], [3, [4, 5]], []], "void": [], "d": {"b": 1, "a": "two", "items": "mine", "nested": {"k": [1, {"z": None}]}, "n": None},
    "keys": {"10": "x", "9": "y", "B": 2, "a": 20.0}, "hollow": {},
    "rows": [{"name": "x", "age": 3, "tags": ["p", "q"]}, {"name": "Y", "age": 1}, {"name": "z", "age": 2, "ok": True, "city": None}],
    "messages": [{"role": "system", "content": " Be brief. "}, {"role": "user", "content": "Hi <there>"},
                 {"role": "assistant", "content": None, "tool_calls": [{"function": {"name": "f", "arguments": {"x": 1.0, "y": "é"}}}]},
                 {"role": "tool", "content": [{"type": "text", "text": "ok"}]}],
}
STRINGS = ["name", "empty", "odd", "quote", "lines", "uni", "html", "words_text", "digits", "decimal", "hex", "csv", "pad", "rows[0].name", "messages[1].content", "d.a", "words[1]"]
NUMBERS = ["i", "zero", "neg", "big", "huge", "f", "whole", "tiny", "large", "nz", "yes", "no", "nums[0]", "floats[1]", "rows[0].age"]
LISTS = ["words", "nums", "floats", "mixed", "none_list", "nested", "void", "rows", "messages", "rows[0].tags", "nested[1]"]
DICTS = ["d", "keys", "hollow", "rows[0]", "rows[2]", "messages[2]", "d.nested", "messages[2].tool_calls[0].function"]
OTHERS = ["missing", "nothing", "d.zz", "rows[1].ok", "range(3)", "range(1, 9, 3)", "d.items()", "keys.keys()", "d.values()", "namespace(a=1)", "dict(a=1, b=name)", "words[9]", "(1, 'a')", "(2,)", "()"]


class Maker:
    def __init__(self, seed):
        self.r = random.Random(seed)
        self.scope = []
        self.loop = 0
        self.macros = []

    def pick(self, *options):
        return self.r.choice(options)

    def chance(self, p):
        return self.r.random() < p

    def small(self):
        return str(self.r.choice([-3, -1, 0, 1, 1, 2, 2, 3, 4, 5, 7, 10, 12]))

    def literal(self):
        letters = ["a", "b", "A", "x", " ", "-", "_", ",", "1", "0", ".", "é", "ß", "🦜", "<", "&", "%", "{", "}", "\\n", "\\t", "\\\\", "\\u00e9", "\\x41", "\\'", "/", "=", "\n", "Σ", "'"[:0], "word ", "The "]
        body = "".join(self.r.choice(letters) for _ in range(self.r.randint(0, 6)))
        return f"'{body}'"

    def string(self, depth):
        if depth <= 0 or self.chance(0.3):
            return self.pick(self.r.choice(STRINGS), self.literal(), self.variable("name"))
        a = lambda: self.string(depth - 1)
        n = self.small
        options = [
            lambda: f"{a()}|{self.pick('upper', 'lower', 'capitalize', 'title', 'trim', 'string', 'escape', 'e', 'safe', 'forceescape', 'striptags', 'urlencode', 'reverse')}",
            lambda: f"({a()}).{self.pick('upper', 'lower', 'capitalize', 'title', 'strip', 'lstrip', 'rstrip', 'swapcase', 'casefold')}()",
            lambda: f"{a()} ~ {self.value(depth - 1)}",
            lambda: f"({a()} + {a()})",
            lambda: f"({a()}).replace({a()}, {a()}{self.pick('', ', ' + n())})",
            lambda: f"{a()}|replace({a()}, {a()}{self.pick('', ', ' + n(), ', count=' + n())})",
            lambda: f"({a()})[{self.slice()}]",
            lambda: f"({a()})[{n()}]",
            lambda: f"({a()}).{self.pick('strip', 'lstrip', 'rstrip')}({a()})",
            lambda: f"{a()}|trim({a()})",
            lambda: f"{a()}|center({n()}{self.pick('', '0')})",
            lambda: f"({a()}).{self.pick('center', 'ljust', 'rjust')}({n()}{self.pick('', chr(44) + repr('*'))})",
            lambda: f"({a()}).zfill({n()})",
            lambda: f"{a()}|indent({n()}{self.pick('', ', true', ', first=true', ', blank=true', ', true, true')})",
            lambda: f"{a()}|truncate({self.pick('5', '9', '12', '20', '3')}{self.pick('', ', true', ', false, ' + repr('..'), ', leeway=0')})",
            lambda: f"{a()}|wordwrap({self.pick('5', '10', '20')}{self.pick('', ', false', ', wrapstring=' + repr('|'), ', break_on_hyphens=false')})",
            lambda: f"{self.list(depth - 1)}|join({self.pick('', a(), repr(', '))})",
            lambda: f"({a()}).join({self.list(depth - 1)}|map('string'))",
            lambda: f"{self.list(depth - 1)}|join({a()}, attribute='name')",
            lambda: f"{self.value(depth - 1)}|string",
            lambda: f"{self.value(depth - 1)}|tojson{self.pick('', '(indent=2)', '(indent=0)', '(sort_keys=true)', '(ensure_ascii=true)', '(separators=(' + repr(',') + ', ' + repr(':') + '))', '(true)', '(indent=' + repr('- ') + ')')}",
            lambda: f"{self.value(depth - 1)}|pprint",
            lambda: f"{self.format_call(depth - 1)}",
            lambda: f"{self.percent(depth - 1)}",
            lambda: f"{a()} * {self.pick('0', '2', '3', '-1')}",
            lambda: f"{self.list(depth - 1)}|{self.pick('first', 'last', 'min', 'max')}",
            lambda: f"({a()}).{self.pick('removeprefix', 'removesuffix')}({a()})",
            lambda: f"({a()}).expandtabs({n()})",
            lambda: f"{self.number(depth - 1)}|filesizeformat{self.pick('', '(true)')}",
            lambda: f"{self.dict(depth - 1)}|xmlattr{self.pick('', '(false)')}",
            lambda: f"{a()}|urlize{self.pick('', '(10)', '(nofollow=true)', '(target=' + repr('_x') + ')', '(rel=' + repr('z a') + ')')}",
            lambda: f"{self.dict(depth - 1)}|urlencode",
            lambda: f"({a()} if {self.boolean(depth - 1)} else {a()})",
            lambda: f"({a()} if {self.boolean(depth - 1)})",
            lambda: f"{self.value(depth - 1)}|default({a()}{self.pick('', ', true')})",
            lambda: f"({a()}|safe).{self.pick('upper()', 'split()', 'replace(' + repr('a') + ', ' + repr('<') + ')', 'join([' + repr('<') + ', name])', 'strip()', 'unescape()', 'striptags()', 'format(1)', 'partition(' + repr(' ') + ')')}",
        ]
        return self.r.choice(options)()

    def slice(self):
        part = lambda: self.pick("", "", self.small())
        return f"{part()}:{part()}" + (f":{self.pick('', '1', '2', '-1', '-2')}" if self.chance(0.4) else "")

    def spec(self):
        return self.pick("", "", ":>8", ":<8", ":^9", ":*^9", ":.2f", ":,", ":_", ":08.3f", ":+d", ":x", ":#x", ":#b", ":o", ":e", ":.3g", ":%", ":.1%", ":5", ":05", ":d", ":s", ":.3", ":n", ":X", ":c", "!r", "!s", "!a", "!r:>12", ":=+8", ": ", ":G", ":,.2f", ":010,", ":z.1f", ":{}")

    def format_call(self, depth):
        fields = [self.pick("{}", "{" + self.spec() + "}", "{0" + self.spec() + "}", "{k" + self.spec() + "}", "{0[0]}", "{k.name}", "{{", "}}", "text ", "{", "{1}")]
        fields += [self.pick("{}", "{" + self.spec() + "}", "-", " ", "{{x}}") for _ in range(self.r.randint(0, 2))]
        args = ", ".join([self.value(depth) for _ in range(self.r.randint(0, 3))] + ([f"k={self.value(depth)}"] if self.chance(0.4) else []))
        return f"'{''.join(fields)}'.format({args})"

    def percent(self, depth):
        piece = lambda: "%" + self.pick("", "", "-", "0", "+", " ", "#") + self.pick("", "", "5", "8", "*") + self.pick("", "", ".2", ".0") + self.pick("s", "s", "d", "f", "r", "x", "e", "g", "i", "c", "o", "X", "%", "a", "q")
        if self.chance(0.2):
            return f"'%({self.pick('a', 'b', 'zz')})s' % {self.dict(depth)}"
        count = self.r.randint(1, 2)
        text = self.pick("", "t ") + " ".join(piece() for _ in range(count))
        values = [self.value(depth) for _ in range(self.pick(count, count, 1, 3))]
        if self.chance(0.4):
            return f"'{text}'|format({', '.join(values)})"
        return f"('{text}' % ({', '.join(values)},))" if self.chance(0.8) else f"('{text}' % {values[0]})"

    def number(self, depth):
        if depth <= 0 or self.chance(0.3):
            return self.pick(self.r.choice(NUMBERS), self.small(), self.pick("1.5", "0.1", "1e3", "2.0", "1_000", "0x1f", "0b101", "1e16", "0.00001", "123456789012345678901234567890"), self.variable("i"))
        a = lambda: self.number(depth - 1)
        options = [
            lambda: f"({a()} {self.pick('+', '-', '*')} {a()})",
            lambda: f"({a()} {self.pick('/', '//', '%')} {a()})",
            lambda: f"({self.pick('2', '-2', '3', '0', '1.5', 'i')} ** {self.pick('0', '2', '3', '-1', '0.5', '10', '65')})",
            lambda: f"(-{a()})",
            lambda: f"(+{a()})",
            lambda: f"{a()}|abs",
            lambda: f"{a()}|round{self.pick('', '(1)', '(2)', '(-1)', '(1, ' + repr('floor') + ')', '(0, ' + repr('ceil') + ')', '(2, ' + repr('common') + ')')}",
            lambda: f"{self.value(depth - 1)}|int{self.pick('', '(5)', '(base=16)', '(0, 0)', '(default=none)')}",
            lambda: f"{self.value(depth - 1)}|float{self.pick('', '(1.5)')}",
            lambda: f"{self.value(depth - 1)}|length",
            lambda: f"{self.list(depth - 1)}|count",
            lambda: f"{self.list(depth - 1)}|sum{self.pick('', '(start=10)', '(attribute=' + repr('age') + ')')}",
            lambda: f"{self.string(depth - 1)}|wordcount",
            lambda: f"({self.string(depth - 1)}).{self.pick('find', 'rfind', 'count', 'index')}({self.string(depth - 1)}{self.pick('', ', ' + self.small(), ', 1, 5')})",
            lambda: f"({self.list(depth - 1)}).{self.pick('count', 'index')}({self.value(depth - 1)})",
            lambda: f"{self.list(depth - 1)}|{self.pick('min', 'max', 'first', 'last')}",
            lambda: f"({a()}).{self.pick('real', 'imag', 'numerator', 'denominator', 'bit_length()', 'is_integer()', 'conjugate()', 'as_integer_ratio()')}",
        ]
        return self.r.choice(options)()

    def boolean(self, depth):
        if depth <= 0 or self.chance(0.2):
            return self.pick("true", "false", "yes", "no", "none", self.variable("no"))
        v = lambda: self.value(depth - 1)
        tests = ["defined", "undefined", "none", "boolean", "false", "true", "integer", "float", "number", "string", "mapping", "iterable", "sequence", "callable", "lower", "upper", "escaped", "odd", "even"]
        options = [
            lambda: f"({v()} {self.pick('==', '!=', '<', '<=', '>', '>=')} {v()})",
            lambda: f"({self.number(depth - 1)} {self.pick('==', '!=', '<', '<=', '>', '>=')} {self.number(depth - 1)})",
            lambda: f"({self.string(depth - 1)} {self.pick('==', '<', '>=', 'in', 'not in')} {self.string(depth - 1)})",
            lambda: f"({self.number(depth - 1)} < {self.number(depth - 1)} <= {self.number(depth - 1)})",
            lambda: f"({v()} {self.pick('in', 'not in')} {self.pick(self.list(depth - 1), self.dict(depth - 1), self.r.choice(OTHERS))})",
            lambda: f"{v()} is {self.pick('', 'not ')}{self.r.choice(tests)}",
            lambda: f"{self.number(depth - 1)} is {self.pick('odd', 'even', 'divisibleby 3', 'divisibleby(2)', 'gt 2', 'ge(2)', 'lt 5', 'le 3', 'eq 7', 'ne 7', 'equalto 3')}",
            lambda: f"{v()} is {self.pick('sameas', 'eq')} {self.pick('none', 'true', 'false')}",
            lambda: f"{v()} is in {self.list(depth - 1)}",
            lambda: f"{self.string(depth - 1)} is {self.pick('filter', 'test', 'string')}",
            lambda: f"(not {v()})",
            lambda: f"({v()} {self.pick('and', 'or')} {v()})",
            lambda: f"({self.string(depth - 1)}).{self.pick('startswith', 'endswith')}({self.pick(self.string(depth - 1), '(' + repr('a') + ', ' + repr(' ') + ')')}{self.pick('', ', ' + self.small())})",
            lambda: f"({self.string(depth - 1)}).{self.pick('isalnum', 'isalpha', 'isascii', 'isdecimal', 'isdigit', 'isidentifier', 'islower', 'isnumeric', 'isprintable', 'isspace', 'istitle', 'isupper')}()",
        ]
        return self.r.choice(options)()

    def list(self, depth):
        if depth <= 0 or self.chance(0.3):
            return self.pick(self.r.choice(LISTS), self.r.choice(LISTS), f"[{self.small()}, {self.literal()}]", "[]", self.variable("words"))
        l = lambda: self.list(depth - 1)
        options = [
            lambda: f"[{', '.join(self.value(depth - 1) for _ in range(self.r.randint(0, 3)))}]",
            lambda: f"({', '.join(self.value(depth - 1) for _ in range(self.r.randint(2, 3)))})",
            lambda: f"({l()} + {l()})",
            lambda: f"({l()} * {self.pick('0', '1', '2')})",
            lambda: f"({l()})[{self.slice()}]",
            lambda: f"{self.value(depth - 1)}|list",
            lambda: f"{l()}|sort{self.pick('', '(true)', '(case_sensitive=true)', '(attribute=' + repr('name') + ')', '(attribute=' + repr('age') + ', reverse=true)', '(attribute=' + repr('name,age') + ')', '(attribute=0)')}",
            lambda: f"{l()}|unique{self.pick('', '(true)', '(attribute=' + repr('name') + ')')}|list",
            lambda: f"{l()}|reverse|list",
            lambda: f"{l()}|map('{self.pick('upper', 'string', 'length', 'int', 'float', 'tojson', 'title', 'trim', 'first', 'list', 'abs', 'escape', 'nofilter')}')|list",
            lambda: f"{l()}|map(attribute={self.pick(repr('name'), repr('age'), '0', repr('function.name'), repr('tags.0'))}{self.pick('', ', default=' + self.literal())})|list",
            lambda: f"{l()}|map('{self.pick('default', 'replace', 'join', 'round')}', {self.value(depth - 1)})|list",
            lambda: f"{l()}|{self.pick('select', 'reject')}{self.pick('', '(' + repr('string') + ')', '(' + repr('odd') + ')', '(' + repr('none') + ')', '(' + repr('in') + ', [1, 2])', '(' + repr('gt') + ', 1)', '(' + repr('==') + ', 1)', '(' + repr('defined') + ')')}|list",
            lambda: f"{l()}|{self.pick('selectattr', 'rejectattr')}('{self.pick('ok', 'age', 'name', 'role', 'tags')}'{self.pick('', ', ' + repr('defined'), ', ' + repr('equalto') + ', 2', ', ' + repr('==') + ', ' + repr('x'), ', ' + repr('none'))})|list",
            lambda: f"{l()}|batch({self.pick('1', '2', '3')}{self.pick('', ', ' + repr('-'))})|list",
            lambda: f"{l()}|slice({self.pick('1', '2', '3')}{self.pick('', ', 0')})|list",
            lambda: f"{l()}|groupby('{self.pick('age', 'name', 'role', 'ok')}'{self.pick('', ', default=0', ', case_sensitive=true')})",
            lambda: f"{self.dict(depth - 1)}|dictsort{self.pick('', '(true)', '(by=' + repr('value') + ')', '(false, ' + repr('key') + ', true)')}",
            lambda: f"{self.dict(depth - 1)}|items|list",
            lambda: f"({self.dict(depth - 1)}).{self.pick('keys', 'values', 'items')}()|list",
            lambda: f"({self.string(depth - 1)}).{self.pick('split', 'rsplit')}({self.pick('', self.string(depth - 1), repr(','), repr(' ') + ', ' + self.small(), 'none, ' + self.small(), 'maxsplit=1')})",
            lambda: f"({self.string(depth - 1)}).splitlines({self.pick('', 'true', 'keepends=true')})",
            lambda: f"({self.string(depth - 1)}).{self.pick('partition', 'rpartition')}({self.pick(repr(' '), repr(','), self.string(depth - 1))})",
            lambda: f"({l()}).copy()",
        ]
        return self.r.choice(options)()

    def dict(self, depth):
        if depth <= 0 or self.chance(0.4):
            return self.pick(self.r.choice(DICTS), self.r.choice(DICTS), "{}", "{'a': 1, 'b': 'x'}")
        v = lambda: self.value(depth - 1)
        options = [
            lambda: "{" + ", ".join(f"{self.pick(self.literal(), self.small(), 'none', 'true', '1.0', v())}: {v()}" for _ in range(self.r.randint(0, 3))) + "}",
            lambda: f"dict({self.dict(depth - 1)}, z={v()})",
            lambda: f"dict([({self.literal()}, {v()})])",
            lambda: f"({self.dict(depth - 1)}).copy()",
            lambda: f"({self.list(depth - 1)})[{self.small()}]",
        ]
        return self.r.choice(options)()

    def variable(self, otherwise):
        return self.r.choice(self.scope) if self.scope and self.chance(0.7) else otherwise

    def value(self, depth):
        if self.loop and self.chance(0.08):
            return "loop." + self.pick("index", "index0", "revindex", "revindex0", "first", "last", "length", "depth", "depth0", "previtem", "nextitem", "cycle('a', 'b')", "changed(1)", "changed(" + self.variable("i") + ")", "zz")
        if self.macros and self.chance(0.06):
            return f"{self.r.choice(self.macros)}({', '.join(self.value(depth - 1) for _ in range(self.r.randint(0, 2)))}{self.pick('', '')})"
        kind = self.r.random()
        if kind < 0.26:
            return self.string(depth)
        if kind < 0.46:
            return self.number(depth)
        if kind < 0.6:
            return self.boolean(depth)
        if kind < 0.76:
            return self.list(depth)
        if kind < 0.88:
            return self.dict(depth)
        if kind < 0.92:
            return f"({self.dict(depth - 1)}){self.pick('.a', '.items', '[' + repr('b') + ']', '.zz', '.nested', '.get(' + repr('a') + ')', '.get(' + repr('n') + ', 5)', '.get(' + repr('q') + ', 5)', '|attr(' + repr('a') + ')', '|attr(' + repr('keys') + ')()', '.pop', '.__class__', '._x', '[1]')}"
        return self.r.choice(OTHERS)

    # Statements

    def tag(self, body):
        left, right = self.pick("", "", "", "", "-", "+"), self.pick("", "", "", "", "-", "+")
        space = self.pick(" ", " ", "", "\n ")
        if not space and body[:1] in "+-":
            space = " "
        return "{%" + left + space + body + self.pick(" ", " ", "") + right + "%}"

    def print(self, expression):
        left, right = self.pick("", "", "", "-"), self.pick("", "", "", "-")
        return "{{" + left + " " + expression + " " + right + "}}"

    def text(self):
        return "".join(self.pick("text", " ", "\n", "  ", "\n  ", "é🦜", "<b>", "'", "{ ", "}", "%", "#", "\t", "a\n", "\r\n", "{# note #}", "{#- note -#}", "\n {# note #}\n", "{#+ x +#}") for _ in range(self.r.randint(0, 3)))

    def body(self, depth, top=False):
        count = self.r.randint(1, 3)
        scope, macros = list(self.scope), list(self.macros)
        out = "".join(self.statement(depth) + self.text() for _ in range(count))
        if not top:
            self.scope, self.macros = scope, macros
        return self.text() + out

    def fresh(self):
        name = self.pick("v", "w", "u", "q", "name", "i")
        return name

    def statement(self, depth):
        if depth <= 0 or self.chance(0.35):
            return self.print(self.value(self.pick(0, 1, 2)))
        e = lambda: self.value(1)
        kind = self.pick("if", "if", "for", "for", "for", "set", "set", "setblock", "macro", "call", "filter", "with", "raw", "namespace", "autoescape", "block", "unpack", "recursive", "cycler", "print", "generation", "break")
        if kind == "if":
            out = self.tag(f"if {self.boolean(2)}") + self.body(depth - 1)
            if self.chance(0.3):
                out += self.tag(f"elif {self.boolean(1)}") + self.body(depth - 1)
            if self.chance(0.4):
                out += self.tag("else") + self.body(depth - 1)
            return out + self.tag("endif")
        if kind == "for":
            target, source = self.pick((self.fresh(), self.list(1)), (self.fresh(), e()), ("k, v", f"{self.dict(1)}.items()"), ("k, v", f"{self.dict(1)}|dictsort"), (self.fresh(), "range(3)"), ("x", "rows"), ("m", "messages"))
            names = [n.strip() for n in target.split(",")]
            test = f" if {self.boolean(1)}" if self.chance(0.2) else ""
            self.loop += 1
            scope = list(self.scope)
            self.scope += names
            out = self.tag(f"for {target} in {source}{test}") + self.body(depth - 1)
            self.scope = scope
            self.loop -= 1
            if self.chance(0.25):
                out += self.tag("else") + self.body(depth - 1)
            return out + self.tag("endfor")
        if kind == "set":
            name = self.fresh()
            out = self.tag(f"set {name} = {self.value(2)}")
            self.scope.append(name)
            return out
        if kind == "unpack":
            self.scope += ["a1", "b1"]
            return self.tag(f"set a1, b1 = {self.pick(e() + ', ' + e(), self.list(1))}")
        if kind == "setblock":
            name = self.fresh()
            out = self.tag(f"set {name}{self.pick('', ' | upper', ' | trim', ' | length', ' | replace(' + repr('a') + ', ' + repr('b') + ')')}") + self.body(depth - 1) + self.tag("endset")
            self.scope.append(name)
            return out
        if kind == "namespace":
            return self.tag(f"set ns = namespace(a={e()}, b=1)") + self.tag(f"for y in {self.list(1)}") + self.tag(f"set ns.{self.pick('a', 'b', 'c')} = {self.pick('ns.a ~ y', 'ns.b + 1', 'y', e())}") + self.tag("endfor") + self.print(self.pick("ns.a", "ns.b", "ns.c", "ns"))
        if kind == "macro":
            name = self.pick("m1", "m2")
            params = self.pick("", "p", "p, q=1", "p, q='x', r=p", "p=none, q=i")
            saved = self.loop
            self.loop = 0
            scope = list(self.scope)
            self.scope += ["p"] if "p" in params else []
            out = self.tag(f"macro {name}({params})") + self.body(depth - 1) + self.pick("", "", self.print("caller()"), self.print("varargs"), self.print("kwargs")) + self.tag("endmacro")
            self.scope = scope
            self.loop = saved
            self.macros.append(name)
            return out + self.print(f"{name}({self.pick('', e(), e() + ', ' + e(), 'q=' + e(), e() + ', zz=1', '*' + self.list(0), '**' + self.dict(0))})")
        if kind == "call":
            return self.tag("macro c1(a)") + "<" + self.print(self.pick("caller()", "caller(a)", "caller(a, 2)", "a")) + ">" + self.tag("endmacro") + self.tag(f"call{self.pick('', '(z)', '(z, y=3)')} c1({self.pick('', e())})") + self.body(depth - 1) + self.print(self.pick("z", "1", "y")) + self.tag("endcall")
        if kind == "filter":
            return self.tag(f"filter {self.pick('upper', 'trim', 'escape', 'indent(2)', 'replace(' + repr('e') + ', ' + repr('E') + ')', 'title', 'trim|upper', 'length', 'striptags')}") + self.body(depth - 1) + self.tag("endfilter")
        if kind == "with":
            scope = list(self.scope)
            self.scope.append("wv")
            out = self.tag(f"with wv = {e()}{self.pick('', ', w2 = ' + e(), ', w2 = wv')}") + self.body(depth - 1) + self.pick("", self.print("w2")) + self.tag("endwith")
            self.scope = scope
            return out
        if kind == "raw":
            return self.tag("raw") .replace("+%}", "%}") + self.text() + "{{ x }} {% if %}" + self.text() + self.tag("endraw")
        if kind == "autoescape":
            return self.tag(f"autoescape {self.pick('true', 'true', 'false', 'yes', 'no')}") + self.body(depth - 1) + self.print(self.string(1)) + self.print(f"{self.string(0)} ~ ({self.string(0)}|safe)") + self.tag("endautoescape")
        if kind == "block":
            name = f"blk{self.r.randint(0, 999)}"
            return self.tag(f"block {name}{self.pick('', '', ' scoped')}") + self.body(depth - 1) + self.tag(f"endblock{self.pick('', ' ' + name)}") + self.pick("", self.print(f"self.{name}()"))
        if kind == "recursive":
            self.loop += 1
            out = self.tag(f"for t in nested recursive") + self.pick("", self.text()) + self.tag("if t is iterable and t is not string") + "(" + self.print("loop(t)") + self.print(self.pick("loop.depth", "loop.index", "loop.length")) + ")" + self.tag("else") + self.print("t") + self.tag("endif") + self.tag("endfor")
            self.loop -= 1
            return out
        if kind == "cycler":
            return self.tag("set cy = cycler('a', 'b')") + self.print("cy.next()") + self.print("cy.current") + self.tag("set jn = joiner('|')") + self.print("jn()") + self.print("jn() ~ cy.next()")
        if kind == "print":
            return self.tag(f"print {e()}{self.pick('', ', ' + e())}")
        if kind == "generation":
            return self.tag("generation") + self.body(depth - 1) + self.tag("endgeneration")
        return self.tag(f"for y in {self.list(1)}") + self.tag(f"if loop.index == {self.pick('1', '2', '3')}") + self.tag(self.pick("break", "continue")) + self.tag("endif") + self.print("y") + self.tag("endfor")


class ScopeMaker(Maker):
    """Templates about nothing but which variable a name means: few names, set and read in scopes of every kind."""

    NAMES = ["x", "y", "z", "name", "ns"]

    def read(self):
        if self.chance(0.06):
            return self.pick("ns.a", "loop.index", "loop.depth", "z + 1", "m(x)", "w(y)", "caller()", "caller(x)", "self.b1()", "super()")
        return self.pick("x", "y", "z", "name", "x ~ y", "x is defined", "y|default('-')", "(x, y)", "m()", "varargs", "kwargs", "x if y else z", "m", "loop is defined", "caller is defined", "ns is defined", "z ~ x", "loop.index if loop is defined", "caller() if caller", "caller(x) if caller else y", "ns.a if ns is defined")

    def target(self):
        return self.pick("x", "y", "z", "x", "y", "z", "name", "x, y" if self.chance(0.3) else "x", "ns.a" if self.chance(0.1) else "y", "(x, (y, z))" if self.chance(0.1) else "z", "m" if self.chance(0.2) else "x")

    def source(self):
        return self.pick("[1, 2]", "[3]", "[]", "'ab'", "range(2)", "[x, y]", "rows|map(attribute='name')", "nested", "[[1, 2], [3, 4]]", "missing")

    def statement(self, depth):
        if depth <= 0 or self.chance(0.3):
            return "{{ " + self.read() + " }};"
        inside = lambda: self.body(depth - 1)
        kind = self.pick("set", "set", "set", "setns", "block set", "if", "if", "for", "for", "for", "recursive", "macro", "macro", "call", "with", "filter", "block", "autoescape", "generation", "break")
        if kind == "set":
            target = self.target()
            value = self.pick("2, 3", "[4, 5]", "x, y") if target == "x, y" else "[6, [7, 8]]" if "(" in target else self.pick("1", "x", "y ~ 'q'", "[4, 5]", "z ~ x", "none", "loop is defined", "y")
            return f"{{% set {target} = {value} %}}"
        if kind == "setns":
            return "{% set ns = namespace(a=1) %}" + self.pick("", "{% set ns.a = x %}")
        if kind == "block set":
            return f"{{% set {self.pick('x', 'y', 'z')}{self.pick('', '|upper', '|replace(1, 2)', '|default(x)')} %}}" + inside() + "{% endset %}"
        if kind == "if":
            return f"{{% if {self.pick('x', 'y is defined', 'true', 'false', 'z == 1', 'name', 'loop is defined')} %}}" + inside() + self.pick("", "{% else %}" + inside(), f"{{% elif {self.pick('y', 'true')} %}}" + inside()) + "{% endif %}"
        if kind == "for":
            return f"{{% for {self.pick('x', 'y', 'z', 'name')} in {self.source()}{self.pick('', '', ' if x', ' if y != 1', ' if loop is defined', ' if z')} %}}" + inside() + self.pick("", "{% else %}" + inside()) + "{% endfor %}"
        if kind == "recursive":
            return f"{{% for {self.pick('x', 'y')} in nested{self.pick('', ' if x')} recursive %}}" + inside() + "{{ loop(" + self.pick("x", "y", "[]") + ") if " + self.pick("x is sequence", "loop.depth < 3", "false") + " }}" + self.pick("", "{% else %}" + inside()) + "{% endfor %}"
        if kind == "macro":
            return f"{{% macro {self.pick('m', 'm', 'w', 'x')}({self.pick('', 'x', 'y=x', 'x, y=z', 'caller=none', 'z=loop')}) %}}" + inside() + "{% endmacro %}" + self.pick("", "{{ m(" + self.pick("", "", "", "1", "x, y=2") + ") }}")
        if kind == "call":
            return f"{{% call{self.pick('', '(x)', '(y, z=x)')} {self.pick('m()', 'm()', 'm()', 'm()', 'w(x)', 'm(x, y)')} %}}" + inside() + "{% endcall %}"
        if kind == "with":
            return f"{{% with {self.pick('x = 1', 'x = y, y = x', 'z = x', 'x = 2, z = x', '')} %}}" + inside() + "{% endwith %}"
        if kind == "filter":
            return f"{{% filter {self.pick('upper', 'replace(1, x)', 'default(y)')} %}}" + inside() + "{% endfilter %}"
        if kind == "block":
            return f"{{% block b{self.r.randint(1, 9)}{self.pick('', ' scoped')} %}}" + inside() + "{% endblock %}"
        if kind == "autoescape":
            return "{% autoescape " + self.pick("true", "x", "false") + " %}" + inside() + "{% endautoescape %}"
        if kind == "generation":
            return "{% generation %}" + inside() + "{% endgeneration %}"
        return self.pick("{% break %}" if self.chance(0.1) else "", "{% if x %}{% break %}{% endif %}", "{% if loop.first %}{% continue %}{% endif %}")

    def body(self, depth, top=False):
        return "".join(self.statement(depth) for _ in range(self.r.randint(1, 3)))


def mutate(maker, template):
    """A slip of the pen: what does not parse must not parse here either."""
    at = maker.r.randint(0, max(0, len(template) - 1))
    return maker.pick(
        template[:at] + template[at + 1 :], template[:at] + maker.pick("%}", "{{", "}", "(", "]", "|", ",", "'", "-", " if ", " is ", "~", "\n", "0", ".", "{#", "=", " not ", " in ") + template[at:],
        template[:at] + template[at : at + 3] + template[at:],
    )


def case(seed):
    scopes = random.Random(f"kind {seed}").random() < 0.3
    maker = ScopeMaker(seed) if scopes else Maker(seed)
    template = "{% macro m() %}M{{ x }}{{ caller() if caller }}{{ varargs }}{{ kwargs }}{% endmacro %}" + maker.body(4) if scopes else maker.text() + maker.print(maker.value(3)) + maker.text() if maker.chance(0.45) else maker.body(3, top=True)
    if maker.chance(0.08):
        template = mutate(maker, template)
    try:
        text = compile_template(template).render(**copy.deepcopy(VARIABLES))
    except Exception as error:
        return template, None, f"{type(error).__name__}: {error}"
    return template, text, None


LONGEST = 1000
ADDRESS = re.compile(r"0x[0-9a-f]{6,}", re.I)


if __name__ == "__main__":
    count, seed = int(sys.argv[1]), int(sys.argv[2])
    errors = len(sys.argv) > 3
    cases = []
    number = seed * 1_000_000
    while len(cases) < count:
        template, text, error = case(number)
        number += 1
        # Where an object lies in memory, and complex numbers, are not compared; long cases say no more than short ones.
        if text is not None and (ADDRESS.search(text) or re.search(r"\dj\)", text)) or len(template) + len(text or "") > LONGEST:
            continue
        cases.append([template, text, error] if errors else [template, text])
    head = {"made_with": f"jinja2 {jinja2.__version__}, transformers {transformers.__version__}", "variables": tagged(VARIABLES)}
    print(json.dumps(head, ensure_ascii=True)[:-1] + ', "cases": [')
    print(",\n".join(json.dumps(c, ensure_ascii=True) for c in cases) + "\n]}")
