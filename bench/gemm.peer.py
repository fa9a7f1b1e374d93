"""torch's side of gemm.mjs: y = x W^T in float32 and, through oneDNN, in bf16."""

import time

import torch
from worker import serve

DTYPES = {"float32": torch.float32, "bf16": torch.bfloat16}
state = {}


def prepare(message):
    torch.manual_seed(0)
    x = torch.randn(message["tokens"], message["inFeatures"])
    w = torch.randn(message["outFeatures"], message["inFeatures"])
    for name, dtype in DTYPES.items():
        state[name] = x.to(dtype), w.to(dtype)


def multiply(message):
    torch.set_num_threads(message["threads"])
    x, w = state[message["dtype"]]
    start = time.perf_counter()
    for _ in range(message["repeats"]):
        torch.nn.functional.linear(x, w)
    return {"seconds": (time.perf_counter() - start) / message["repeats"]}


serve({"prepare": prepare, "multiply": multiply})
