"""PyTorch + transformers + PEFT's side of cuda.mjs: bfloat16 on the GPU, the same shape with random weights."""

import time

import torch
from peft import LoraConfig, get_peft_model
from transformers import LlamaConfig, LlamaForCausalLM
from worker import serve

state = {}
LINEARS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


def prepare(message):
    state.clear()
    torch.cuda.empty_cache()
    torch.manual_seed(0)
    config = LlamaConfig(**{k: v for k, v in message["config"].items() if k != "model_type"})
    with torch.device("meta"):
        model = LlamaForCausalLM(config)
    model = model.to(torch.bfloat16).to_empty(device="cuda")
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.fill_(1.0) if "norm" in name else parameter.normal_(0, 0.02)
    # to_empty leaves the rotary tables unset
    model.model.rotary_emb = type(model.model.rotary_emb)(config).to("cuda")
    model.generation_config.eos_token_id = None
    r = message["r"]
    peft = get_peft_model(model, LoraConfig(r=r, lora_alpha=2 * r, target_modules=LINEARS, task_type="CAUSAL_LM"))
    trainable = [p for p in peft.parameters() if p.requires_grad]
    for p in trainable:
        p.data = p.data.float()
    state.update(model=peft, trainable=trainable, optimizer=torch.optim.AdamW(trainable, lr=2e-4), vocab=config.vocab_size)


def step(message):
    tokens = message["tokens"]
    torch.cuda.reset_peak_memory_stats()
    ids = torch.randint(0, state["vocab"], (1, tokens), device="cuda")
    torch.cuda.synchronize()
    start = time.perf_counter()
    state["model"].train()
    with torch.autocast("cuda", dtype=torch.bfloat16):
        loss = state["model"](input_ids=ids, labels=ids, use_cache=False).loss
    loss.backward()
    torch.nn.utils.clip_grad_norm_(state["trainable"], 1.0)
    state["optimizer"].step()
    state["optimizer"].zero_grad(set_to_none=True)
    value = float(loss)
    torch.cuda.synchronize()
    return {"seconds": time.perf_counter() - start, "loss": value}


@torch.inference_mode()
def decode(message):
    state["model"].eval()
    ids = torch.randint(0, state["vocab"], (1, message["prompt"]), device="cuda")

    def run(count):
        torch.cuda.synchronize()
        start = time.perf_counter()
        state["model"].generate(
            input_ids=ids, attention_mask=torch.ones_like(ids), max_new_tokens=count, min_new_tokens=count,
            do_sample=False, pad_token_id=0,
        )
        torch.cuda.synchronize()
        return time.perf_counter() - start

    # The prompt's part is taken off.
    first = run(1)
    return {"seconds": run(message["tokens"] + 1) - first}


def memory(_):
    return {"peakMemory": torch.cuda.max_memory_allocated()}


serve({"prepare": prepare, "step": step, "decode": decode, "memory": memory})
