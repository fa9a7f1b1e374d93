#!/usr/bin/env bash
# A guess: a safetensors file holds its tensors in the order in which they were given to save().
# Seen: they are ordered by the size of their type, the widest first, and by name within a type.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/pip install -q safetensors==0.8.0 numpy 2>/dev/null
cat >case.py <<'P'
import json
import numpy as np, safetensors
from safetensors.numpy import save
data = save({"b": np.zeros(1, "f4"), "a": np.zeros(1, "f4"), "half": np.zeros(1, "f2"), "id": np.zeros(1, "i8")})
header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
order = sorted(header, key=lambda name: header[name]["data_offsets"])
print("safetensors", safetensors.__version__, "given b a half id, stored", *order)
assert order == ["id", "a", "b", "half"]
P
venv/bin/python case.py
