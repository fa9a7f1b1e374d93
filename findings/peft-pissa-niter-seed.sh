#!/usr/bin/env bash
# A guess: a saved adapter with its base model gives the same logits however often it is loaded.
# Seen: with init_lora_weights="pissa_niter_4" the base is taken apart by a random decomposition at each load: logits depend on torch's seed.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/pip install -q torch==2.13.0 transformers==5.18.0 peft==0.21.0 2>/dev/null
cat >case.py <<'P'
import peft
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import LlamaConfig, LlamaForCausalLM
config = LlamaConfig(vocab_size=64, hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=4, initializer_range=0.3)
torch.manual_seed(0)
weights = LlamaForCausalLM(config).state_dict()
def base():
    model = LlamaForCausalLM(config)
    model.load_state_dict(weights)
    return model
def difference(init):
    torch.manual_seed(0)
    lora = LoraConfig(r=4, target_modules=["q_proj", "v_proj", "o_proj"], init_lora_weights=init)
    get_peft_model(base(), lora).save_pretrained(init)
    logits = []
    for seed in (1, 2):
        model = base()
        torch.manual_seed(seed)
        with torch.no_grad():
            logits.append(PeftModel.from_pretrained(model, init).eval()(torch.arange(12)[None]).logits)
    return float((logits[0] - logits[1]).abs().max())
seen = {init: difference(init) for init in ("pissa", "pissa_niter_4")}
print("peft", peft.__version__, "largest difference of two loads:", seen)
assert seen["pissa"] < 1e-4 and seen["pissa_niter_4"] > 1
P
venv/bin/python case.py
