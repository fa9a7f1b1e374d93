"""transformers' side of decode.mjs: the same shape with random weights, its own cache and its own greedy loop."""

import time

import torch
from transformers import LlamaConfig, LlamaForCausalLM
from transformers.generation import StoppingCriteria, StoppingCriteriaList
from worker import serve

DTYPES = {"float32": torch.float32, "bf16": torch.bfloat16}
state = {}


class Clock(StoppingCriteria):
    """Notes when each token comes, and stops nothing."""

    def __init__(self):
        self.times = []

    def __call__(self, input_ids, scores, **kwargs):
        self.times.append(time.perf_counter())
        return torch.zeros(len(input_ids), dtype=torch.bool)


def prepare(message):
    torch.manual_seed(0)
    torch.set_num_threads(message["threads"])
    config = LlamaConfig(**{k: v for k, v in message["config"].items() if k != "model_type"})
    with torch.device("meta"):
        model = LlamaForCausalLM(config).to(DTYPES[message["dtype"]])
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
    """The seconds of reading the prompts, up to a first token each, and of `tokens` more each."""
    clock = Clock()
    count = message["tokens"] + 1
    ids = torch.tensor(message["prompts"])
    start = time.perf_counter()
    state["model"].generate(
        ids, attention_mask=torch.ones_like(ids), max_new_tokens=count, do_sample=False,
        use_cache=True, stopping_criteria=StoppingCriteriaList([clock]), pad_token_id=0,
    )
    assert len(clock.times) == count
    return {"reading": clock.times[0] - start, "writing": clock.times[-1] - clock.times[0]}


serve({"prepare": prepare, "decode": decode})
