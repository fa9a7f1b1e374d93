"""transformers' side of load.mjs: one load in this process, in bfloat16."""

import json
import resource
import sys
import time

import torch
from transformers import AutoModelForCausalLM
from transformers.models.llama import modeling_llama  # imported lazily otherwise


def memory():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


start = time.perf_counter()
model = AutoModelForCausalLM.from_pretrained(sys.argv[1], dtype=torch.bfloat16)
load, load_memory = time.perf_counter() - start, memory()
with torch.inference_mode():
    int(model(torch.tensor([[1, 2, 3]])).logits[0, -1].argmax())
token = time.perf_counter() - start
print(json.dumps({"load": load, "loadMemory": load_memory, "token": token, "tokenMemory": memory()}))
