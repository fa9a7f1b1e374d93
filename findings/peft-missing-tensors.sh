#!/usr/bin/env bash
# A guess: an adapter file that lacks tensors of the adapter, or names other layers, is refused.
# Seen: it is loaded with a warning; where B is missing it stays zero and the model answers as the base model does.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/pip install -q torch==2.13.0 transformers==5.18.0 peft==0.21.0 safetensors==0.8.0 2>/dev/null
cat >case.py <<'P'
import warnings
import peft
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import LlamaConfig, LlamaForCausalLM
torch.manual_seed(0)
config = LlamaConfig(vocab_size=32, hidden_size=16, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2)

base = LlamaForCausalLM(config)
weights = {key: value.clone() for key, value in base.state_dict().items()}
ids = torch.arange(8)[None]
plain = base(ids).logits
get_peft_model(base, LoraConfig(r=2, target_modules=["q_proj"])).save_pretrained("adapter")
tensors = load_file("adapter/adapter_model.safetensors")
save_file({key: value for key, value in tensors.items() if "lora_A" in key}, "adapter/adapter_model.safetensors")
fresh = LlamaForCausalLM(config)
fresh.load_state_dict(weights)
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    loaded = PeftModel.from_pretrained(fresh, "adapter")
same = torch.equal(loaded(ids).logits, plain)
print("peft", peft.__version__, "as the base model:", same, [str(warning.message)[:90] for warning in caught])
assert same and any("missing adapter keys" in str(warning.message) for warning in caught)
P
venv/bin/python case.py
