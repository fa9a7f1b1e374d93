#!/usr/bin/env bash
# A guess: a byte-pair encoding's offsets point at the token's own characters.
# Seen: a character outside of the vocabulary is dropped (there is no unknown token), and what follows in its word is said to start where it stood.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/pip install -q tokenizers==0.23.2 2>/dev/null
cat >case.py <<'P'
import json
import tokenizers
from tokenizers import Tokenizer
model = {"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2}, "merges": ["a b"]}
tokenizer = Tokenizer.from_str(json.dumps({"version": "1.0", "model": model}))
encoding = tokenizer.encode("xxab")
print("tokenizers", tokenizers.__version__, encoding.tokens, encoding.offsets)
assert encoding.tokens == ["ab"] and encoding.offsets == [(0, 2)]
P
venv/bin/python case.py
