#!/usr/bin/env bash
# A guess: safetensors.numpy reads every safetensors file.
# Seen: bfloat16 raises a TypeError of numpy, unless some other code has imported ml_dtypes before, which registers the type.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/pip install -q torch==2.13.0 safetensors==0.8.0 numpy==2.4.6 ml_dtypes==0.6.0 2>/dev/null
cat >case.py <<'P'
import importlib
import safetensors
import torch
from safetensors.numpy import load_file
from safetensors.torch import save_file
save_file({"weight": torch.ones(2, dtype=torch.bfloat16)}, "one.safetensors")
def read():
    try:
        return str(load_file("one.safetensors")["weight"].dtype)
    except TypeError as error:
        return f"TypeError: {error}"
before = read()
ml_dtypes = importlib.import_module("ml_dtypes")
after = read()
print("safetensors", safetensors.__version__, "before:", before, "| after the import of ml_dtypes", ml_dtypes.__version__, after)
assert before.startswith("TypeError") and after == "bfloat16"
P
venv/bin/python case.py
