#!/usr/bin/env bash
# A guess: PEFT's target_modules="all-linear" on a mixture of experts adapts its nn.Linear layers, as it does on other models.
# Seen: it adds experts and routers, which are parameters and no layers, as target_parameters; a LoRA of rank r gets r for each expert.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/pip install -q torch==2.13.0 transformers==5.18.0 peft==0.21.0 2>/dev/null
cat >case.py <<'P'
import warnings
import peft
from peft import LoraConfig, get_peft_model
from transformers import Qwen3Config, Qwen3ForCausalLM, Qwen3MoeConfig, Qwen3MoeForCausalLM
warnings.simplefilter("ignore")
sizes = dict(vocab_size=32, hidden_size=16, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2, num_key_value_heads=2, head_dim=8)
dense = Qwen3ForCausalLM(Qwen3Config(**sizes))
mixture = Qwen3MoeForCausalLM(Qwen3MoeConfig(**sizes, num_experts=4, num_experts_per_tok=2, moe_intermediate_size=8, decoder_sparse_step=1))
seen = {}
for name, model in {"qwen3": dense, "qwen3_moe": mixture}.items():
    adapted = get_peft_model(model, LoraConfig(r=2, target_modules="all-linear"))
    config = adapted.peft_config["default"]
    shapes = {n.split("layers.0.")[1]: tuple(p.shape) for n, p in adapted.named_parameters() if "lora_A" in n}
    seen[name] = sorted(config.target_parameters or [])
    print("peft", peft.__version__, name, "| target_parameters:", seen[name], "| lora_A:", {n: s for n, s in shapes.items() if "mlp" in n})
assert seen["qwen3"] == [] and any("gate_up_proj" in name for name in seen["qwen3_moe"])
P
venv/bin/python case.py
