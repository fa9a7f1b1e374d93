#!/usr/bin/env bash
# A guess: @huggingface/jinja renders chat templates with the text that Jinja2 gives.
# Seen: True, None and lists are printed as JavaScript prints them, equal lists are unequal, and a remainder keeps the sign of the dividend.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm init -y >/dev/null
npm install --silent --no-audit --no-fund @huggingface/jinja@0.5.11
python3 -m venv venv
venv/bin/pip install -q jinja2==3.1.6 2>/dev/null
cat >cases.json <<'J'
["{{ true }} {{ none }}", "{{ ['a', 1] }}", "{{ [1] == [1] }}", "{{ -7 % 3 }}", "{{ 'hello wORLD'|title }}", "{{ '12abc'|int }}"]
J
cat >case.mjs <<'J'
import { readFileSync } from 'node:fs'
import { Template } from '@huggingface/jinja'
const cases = JSON.parse(readFileSync('cases.json', 'utf8'))
console.log(JSON.stringify(cases.map((text) => new Template(text).render({}))))
J
cat >case.py <<'P'
import json
import jinja2
print(json.dumps([jinja2.Template(text).render() for text in json.load(open("cases.json"))]))
P
js=$(node case.mjs)
py=$(venv/bin/python case.py)
echo "@huggingface/jinja 0.5.11: $js"
echo "jinja2 3.1.6:              $py"
[ "$js" = '["true ","[\"a\", 1]","false","-1","Hello WORLD","12"]' ]
[ "$py" = "[\"True None\", \"['a', 1]\", \"True\", \"2\", \"Hello World\", \"0\"]" ]
