#!/usr/bin/env bash
# A guess: in a Split pattern of a tokenizer.json \w and [\w] match the same characters, and {2}+ is possessive.
# Seen: superscript digits and fractions are in \w and not in [\w]; a{2}+ repeats a{2}.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/pip install -q tokenizers==0.23.2 2>/dev/null
cat >case.py <<'P'
import tokenizers
from tokenizers import Regex, pre_tokenizers
def left(pattern, text):
    return [piece for piece, _ in pre_tokenizers.Split(Regex(pattern), "removed").pre_tokenize_str(text)]
def cut(pattern, text):
    return [piece for piece, _ in pre_tokenizers.Split(Regex(pattern), "isolated").pre_tokenize_str(text)]
seen = left(r"\w", "a²½b"), left(r"[\w]", "a²½b"), cut(r"a{2}+", "aaaaab")
print("tokenizers", tokenizers.__version__, "not in \\w:", seen[0], "not in [\\w]:", seen[1], "a{2}+:", seen[2])
assert seen == ([], ["²½"], ["aaaa", "ab"])
P
venv/bin/python case.py
