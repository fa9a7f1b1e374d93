#!/usr/bin/env bash
# A guess: the evaluation loss of the same rows with the same weights does not depend on per_device_eval_batch_size.
# Seen: it does when rows have different numbers of labels: each batch's mean counts by its rows and not by its tokens.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/pip install -q torch==2.13.0 transformers==5.18.0 accelerate==1.15.0 2>/dev/null
cat >case.py <<'P'
import torch, transformers
from transformers import LlamaConfig, LlamaForCausalLM, Trainer, TrainingArguments
torch.manual_seed(0)
model = LlamaForCausalLM(LlamaConfig(vocab_size=64, hidden_size=16, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2))
with torch.no_grad():
    for parameter in model.parameters():
        parameter.mul_(20)
rows = []
for labelled in (2, 3, 40, 4, 30, 3):
    ids = torch.randint(0, 64, (40,))
    labels = torch.where(torch.arange(40) < labelled, ids, -100)
    rows.append({"input_ids": ids, "labels": labels, "attention_mask": torch.ones(40, dtype=torch.long)})
losses = {}
for size in (1, 2, 6):
    args = TrainingArguments("out", per_device_eval_batch_size=size, report_to=[], use_cpu=True, disable_tqdm=True)
    losses[size] = round(Trainer(model, args, eval_dataset=rows).evaluate()["eval_loss"], 3)
print("transformers", transformers.__version__, "eval_loss by batch size", losses)
assert len(set(losses.values())) == 3
P
venv/bin/python case.py
