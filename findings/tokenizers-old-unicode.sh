#!/usr/bin/env bash
# A guess: the NFC of tokenizers is the NFC of Python's unicodedata and of JavaScript's normalize.
# Seen: it is of an older Unicode: some hundred newer combining marks are left where they stand.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/pip install -q tokenizers==0.23.2 2>/dev/null
cat >case.py <<'P'
import unicodedata
import tokenizers
from tokenizers import normalizers
nfc = normalizers.NFC()
other = [
    code
    for code in range(0x110000)
    if unicodedata.combining(chr(code)) and nfc.normalize_str("x" + chr(code) + "\u0334") != unicodedata.normalize("NFC", "x" + chr(code) + "\u0334")
]
print("tokenizers", tokenizers.__version__, "Unicode of Python", unicodedata.unidata_version, len(other), "marks, such as", unicodedata.name(chr(other[0])))
assert len(other) >= 90 and 0x7FD in other
P
venv/bin/python case.py
