#!/usr/bin/env bash
# A guess: in a config.json of transformers 5, rope_parameters counts, and the older rope_scaling beside it is ignored or an error.
# Seen: the older key replaces it whole, and rope_theta falls back to the class's default.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/pip install -q torch==2.13.0 transformers==5.18.0 2>/dev/null
cat >case.py <<'P'
import json
import transformers
from transformers import AutoConfig
def read(**more):
    base = {"model_type": "llama", "hidden_size": 16, "num_attention_heads": 2, "num_hidden_layers": 1}
    rope = {"rope_type": "default", "rope_theta": 1000000.0}
    with open("config.json", "w") as file:
        json.dump({**base, "rope_parameters": rope, **more}, file)
    return AutoConfig.from_pretrained(".").rope_parameters
alone = read()
beside = read(rope_scaling={"rope_type": "linear", "factor": 2.0})
print("transformers", transformers.__version__, "alone:", alone, "beside rope_scaling:", beside)
assert alone["rope_theta"] == 1000000.0 and alone["rope_type"] == "default"
assert beside["rope_type"] == "linear" and beside["rope_theta"] == 10000.0
P
venv/bin/python case.py
