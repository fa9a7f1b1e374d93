#!/usr/bin/env bash
# A guess: a key of rank_pattern matches wherever it occurs in a module's name, as target_modules' endings suggest.
# Seen: it has to match the end of the name from a dot on: parts of a word match nothing, a layer's path matches nothing.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/pip install -q torch==2.13.0 transformers==5.18.0 peft==0.21.0 2>/dev/null
cat >case.py <<'P'
import peft
from peft import LoraConfig, get_peft_model
from transformers import LlamaConfig, LlamaForCausalLM
config = LlamaConfig(vocab_size=32, hidden_size=16, intermediate_size=32, num_hidden_layers=12, num_attention_heads=2)

def matched(key):
    model = get_peft_model(LlamaForCausalLM(config), LoraConfig(r=2, target_modules=["q_proj", "v_proj"], rank_pattern={key: 4}))
    return sum(1 for name, p in model.named_parameters() if "lora_A" in name and p.shape[0] == 4)

seen = {key: matched(key) for key in ("q_proj", "proj", "attn.q_proj", "layers.1", "1.self_attn.q_proj")}
print("peft", peft.__version__, "modules of 24 that a key matches:", seen)
assert seen == {"q_proj": 12, "proj": 0, "attn.q_proj": 0, "layers.1": 0, "1.self_attn.q_proj": 1}
P
venv/bin/python case.py
