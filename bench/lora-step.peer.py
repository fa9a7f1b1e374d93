"""PyTorch + transformers + PEFT's side of lora-step.mjs, float32, the same shape with random weights."""

import resource
import time

import torch
from peft import LoraConfig, get_peft_model
from transformers import LlamaConfig, LlamaForCausalLM
from worker import serve

state = {}


def prepare(message):
    torch.manual_seed(0)
    torch.set_num_threads(message["threads"])
    config = LlamaConfig(**{k: v for k, v in message["config"].items() if k != "model_type"}, use_cache=False)
    with torch.device("meta"):
        model = LlamaForCausalLM(config)
    model = model.to_empty(device="cpu")
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.fill_(1.0) if "norm" in name else parameter.normal_(0, 0.02)
    # to_empty leaves the rotary tables unset
    model.model.rotary_emb = type(model.model.rotary_emb)(config)
    lora = LoraConfig(r=message["r"], lora_alpha=2 * message["r"], target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM")
    state["model"] = get_peft_model(model, lora)
    state["model"].train()
    state["optimizer"] = torch.optim.AdamW([p for p in state["model"].parameters() if p.requires_grad], lr=2e-4)


def step(message):
    """One optimizer step; every sequence is its own micro-batch, padded to padTo."""
    pad_to = message["padTo"]
    start = time.perf_counter()
    for sequence in message["sequences"]:
        n = len(sequence)
        ids = torch.tensor([sequence + [0] * (pad_to - n)])
        mask = torch.tensor([[1] * n + [0] * (pad_to - n)])
        labels = torch.tensor([sequence + [-100] * (pad_to - n)])
        loss = state["model"](input_ids=ids, attention_mask=mask, labels=labels).loss / len(message["sequences"])
        loss.backward()
    state["optimizer"].step()
    state["optimizer"].zero_grad(set_to_none=True)
    return {"seconds": time.perf_counter() - start, "loss": float(loss)}


def memory(_):
    return {"peakMemory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}


serve({"prepare": prepare, "step": step, "memory": memory})
