"""transformers' side of decode.mjs: float32, the same shape with random weights, its own cache and its own greedy loop."""

import resource
import time

import torch
from transformers import LlamaConfig, LlamaForCausalLM
from transformers.generation.streamers import BaseStreamer
from worker import serve

state = {}


class Clock(BaseStreamer):
    """Notes when each token comes; the prompt is the first thing put."""

    def __init__(self):
        self.times = []

    def put(self, value):
        self.times.append(time.perf_counter())

    def end(self):
        pass


def prepare(message):
    torch.manual_seed(0)
    torch.set_num_threads(message["threads"])
    config = LlamaConfig(**{k: v for k, v in message["config"].items() if k != "model_type"})
    with torch.device("meta"):
        model = LlamaForCausalLM(config)
    model = model.to_empty(device="cpu").eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.fill_(1.0) if "norm" in name else parameter.normal_(0, 0.02)
    # to_empty leaves the rotary tables unset
    model.model.rotary_emb = type(model.model.rotary_emb)(config)
    model.generation_config.eos_token_id = None
    state["model"] = model


@torch.inference_mode()
def decode(message):
    clock = Clock()
    count = message["tokens"] + 1
    ids = torch.tensor([message["ids"]])
    state["model"].generate(
        ids, attention_mask=torch.ones_like(ids), max_new_tokens=count, do_sample=False,
        use_cache=True, streamer=clock, pad_token_id=0,
    )
    assert len(clock.times) == count + 1
    return {"seconds": clock.times[-1] - clock.times[1]}


def memory(_):
    return {"peakMemory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}


serve({"prepare": prepare, "decode": decode, "memory": memory})
