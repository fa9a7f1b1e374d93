"""The Python side of src/peft.test.ts: the logits of PEFT with an adapter of ours.  python peft-load.py BASE ADAPTER IDS"""

import json
import sys

import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM
from transformers.utils import logging

logging.disable_progress_bar()
base, adapter, ids = sys.argv[1:]
model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32), adapter).eval()
with torch.no_grad():
    print(json.dumps(model(torch.tensor([json.loads(ids)])).logits[0].flatten().tolist()))
