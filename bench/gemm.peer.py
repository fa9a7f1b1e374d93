"""torch's side of gemm.mjs: float32 y = x W^T."""

import time

import torch
from worker import serve

state = {}


def prepare(message):
    torch.manual_seed(0)
    state["x"] = torch.randn(message["tokens"], message["inFeatures"])
    state["w"] = torch.randn(message["outFeatures"], message["inFeatures"])


def multiply(message):
    torch.set_num_threads(message["threads"])
    start = time.perf_counter()
    for _ in range(message["repeats"]):
        torch.nn.functional.linear(state["x"], state["w"])
    return {"seconds": (time.perf_counter() - start) / message["repeats"]}


serve({"prepare": prepare, "multiply": multiply})
