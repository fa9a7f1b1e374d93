#!/usr/bin/env bash
# A guess: converting a transformers model to bfloat16 and back to float32 leaves its rotary frequencies as they were: they are a buffer that is not saved.
# Seen: they are rounded to bfloat16 for good, and logits of later positions change, although weights that were bfloat16 already did not.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/pip install -q torch==2.13.0 transformers==5.18.0 2>/dev/null
cat >case.py <<'P'
import torch
import transformers
from transformers import LlamaConfig, LlamaForCausalLM
torch.manual_seed(0)
config = LlamaConfig(vocab_size=64, hidden_size=64, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2, max_position_embeddings=4096, initializer_range=0.3)
model = LlamaForCausalLM(config).eval()
with torch.no_grad():
    for parameter in model.parameters():
        parameter.copy_(parameter.to(torch.bfloat16))
ids = torch.arange(2000)[None] % 64
with torch.no_grad():
    before, frequencies = model(ids).logits, model.model.rotary_emb.inv_freq.clone()
    weights = {name: p.clone() for name, p in model.named_parameters()}
    model = model.to(torch.bfloat16).to(torch.float32)
    after = model(ids).logits
same = all(torch.equal(weights[name], p) for name, p in model.named_parameters())
drift = float((model.model.rotary_emb.inv_freq / frequencies - 1).abs().max())
change = float((after - before).abs().max() / before.abs().max())
print("transformers", transformers.__version__, "torch", torch.__version__)
print("weights the same:", same, "| frequencies off by", drift, "| logits off by", change, "of the largest")
assert same and drift > 1e-3 and change > 1e-3
P
venv/bin/python case.py
