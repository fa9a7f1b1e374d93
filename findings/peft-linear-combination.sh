#!/usr/bin/env bash
# A guess: add_weighted_adapter with combination_type="linear" gives the weighted sum of what the adapters add to a weight.
# Seen: it adds up A and B by themselves, whose product has the mixed terms too; "cat" gives the weighted sum.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/pip install -q torch==2.13.0 transformers==5.18.0 peft==0.21.0 2>/dev/null
cat >case.py <<'P'
import peft
import torch
from peft import LoraConfig, get_peft_model
from transformers import LlamaConfig, LlamaForCausalLM
torch.manual_seed(0)
config = LlamaConfig(vocab_size=32, hidden_size=16, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2)

lora = LoraConfig(r=2, target_modules=["q_proj"], init_lora_weights=False)
model = get_peft_model(LlamaForCausalLM(config), lora, adapter_name="a")
model.add_adapter("b", lora)
layer = model.base_model.model.model.layers[0].self_attn.q_proj
wanted = (layer.get_delta_weight("a") + layer.get_delta_weight("b")).detach() / 2
def distance(kind):
    model.add_weighted_adapter(["a", "b"], [0.5, 0.5], kind, combination_type=kind)
    return float((layer.get_delta_weight(kind).detach() - wanted).norm() / wanted.norm())
seen = {kind: distance(kind) for kind in ("linear", "cat")}
print("peft", peft.__version__, "distance from the weighted sum:", seen)
assert seen["linear"] > 0.3 and seen["cat"] < 1e-6
P
venv/bin/python case.py
