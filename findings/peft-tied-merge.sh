#!/usr/bin/env bash
# A guess: with ensure_weight_tying=True, merging LoRA on the embeddings of a model with a tied head keeps the model's answers.
# Seen: the merged model is far from the adapter's: what both sides add goes into the one shared matrix.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/pip install -q torch==2.13.0 transformers==5.18.0 peft==0.21.0 2>/dev/null
cat >case.py <<'P'
import warnings
import peft
import torch
from peft import LoraConfig, get_peft_model
from transformers import Qwen2Config, Qwen2ForCausalLM
warnings.simplefilter("ignore")
def difference(target, **options):
    torch.manual_seed(0)
    config = Qwen2Config(vocab_size=32, hidden_size=16, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2, num_key_value_heads=2, tie_word_embeddings=True)
    lora = LoraConfig(r=4, target_modules=[target], init_lora_weights=False, **options)
    model = get_peft_model(Qwen2ForCausalLM(config), lora).eval()
    ids = torch.arange(8)[None]
    with torch.no_grad():
        before = model(ids).logits
        after = model.merge_and_unload()(ids).logits
    return float((before - after).abs().max() / before.abs().max())
seen = {"q_proj": difference("q_proj"), "embed_tokens": difference("embed_tokens", ensure_weight_tying=True)}
print("peft", peft.__version__, "merged logits off by (of the largest logit):", seen)
assert seen["q_proj"] < 1e-4 and seen["embed_tokens"] > 0.3
P
venv/bin/python case.py
