#!/usr/bin/env bash
# A guess: an added token has the id that its tokenizer.json gives it.
# Seen: one that is not in the vocabulary gets the next free id, whatever the file says, without a word.
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
token = {"id": 1000, "content": "<s>", "single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
model = {"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2}, "merges": ["a b"]}
tokenizer = Tokenizer.from_str(json.dumps({"version": "1.0", "added_tokens": [token], "model": model}))
print("tokenizers", tokenizers.__version__, tokenizer.get_vocab(), tokenizer.encode("<s>ab").ids)
assert tokenizer.token_to_id("<s>") == 3 and tokenizer.encode("<s>ab").ids == [3, 2]
P
venv/bin/python case.py
