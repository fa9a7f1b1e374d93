#!/usr/bin/env bash
# A guess: @huggingface/tokenizers, the JavaScript library, gives the ids of the Rust library for the same tokenizer.json.
# Seen: it does not for a final sigma, U+0085, U+FEFF, superscript digits, and byte fallback of a Unigram model.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm init -y >/dev/null
npm install --silent --no-audit --no-fund @huggingface/tokenizers@0.2.0
python3 -m venv venv
venv/bin/pip install -q tokenizers==0.23.2 2>/dev/null
cat >case.py <<'P'
import json
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

def words(vocabulary, **parts):
    made = Tokenizer(models.WordLevel({"[UNK]": 0, **vocabulary}, unk_token="[UNK]"))
    for name, part in parts.items():
        setattr(made, name, part)
    return made

spaces = pre_tokenizers.WhitespaceSplit()
ab = words({"a": 1, "b": 2}, pre_tokenizer=spaces)
pieces = [("<unk>", 0.0), ("a", -1.0), ("<0xC3>", -5.0), ("<0xA9>", -5.0)]
cases = [
    ("final sigma", words({"σας": 1, "σασ": 2}, normalizer=normalizers.Lowercase(), pre_tokenizer=spaces), "ΣΑΣ"),
    ("next line", ab, "a\u0085b"),
    ("byte order mark", ab, "a\ufeffb"),
    ("superscript", words({"a": 1, "²12": 2, "12": 3, "a²": 4}, pre_tokenizer=pre_tokenizers.Digits()), "a²12"),
    ("byte fallback", Tokenizer(models.Unigram(pieces, unk_id=0, byte_fallback=True)), "aéa"),
]
json.dump([[name, json.loads(t.to_str()), text, t.encode(text).ids] for name, t, text in cases], open("cases.json", "w"))
P
cat >case.mjs <<'J'
import { readFileSync } from 'node:fs'
import { Tokenizer } from '@huggingface/tokenizers'
let same = 0
for (const [name, file, text, rust] of JSON.parse(readFileSync('cases.json', 'utf8'))) {
  const ids = new Tokenizer(file, {}).encode(text).ids.map((id) => id ?? null)
  console.log(`${name}: JavaScript 0.2.0 ${JSON.stringify(ids)}, Rust 0.23.2 ${JSON.stringify(rust)}`)
  if (JSON.stringify(ids) === JSON.stringify(rust)) same++
}
if (same > 0) throw new Error(`${same} case(s) are equal now`)
J
venv/bin/python case.py
node case.mjs
