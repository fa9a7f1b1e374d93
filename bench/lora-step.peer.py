"""PyTorch + transformers + PEFT's side of lora-step.mjs: the same shape with random weights, in float32 or in bf16.

In bf16 the adapters stay float32, as get_peft_model makes them. A step is tried in all the ways there are; the fastest is kept:

- several sequences one by one, each without padding; as one batch, padded to the longest; or end to end in one row with positions
  that start anew (TRL's padding_free), for which transformers makes a mask that keeps them apart;
- the loss of transformers, or TRL's (its default), which leaves tokens without a label out of the head and keeps no logits.
"""

import time

import torch
from peft import LoraConfig, get_peft_model
from transformers import LlamaConfig, LlamaForCausalLM
from trl.trainer.sft_trainer import _CHUNKED_LM_HEAD_CHUNK_SIZE, _chunked_cross_entropy_loss
from worker import serve

DTYPES = {"float32": torch.float32, "bf16": torch.bfloat16}
state = {"ways": {}}


def prepare(message):
    torch.manual_seed(0)
    torch.set_num_threads(message["threads"])
    config = LlamaConfig(**{k: v for k, v in message["config"].items() if k != "model_type"}, use_cache=False)
    with torch.device("meta"):
        model = LlamaForCausalLM(config).to(DTYPES[message["format"]])
    model = model.to_empty(device="cpu")
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.fill_(1.0) if "norm" in name else parameter.normal_(0, 0.02)
    # to_empty leaves the rotary tables unset
    model.model.rotary_emb = type(model.model.rotary_emb)(config)
    lora = LoraConfig(r=message["r"], lora_alpha=2 * message["r"], target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM")
    state["model"] = get_peft_model(model, lora)
    state["model"].train()
    trained = [p for p in state["model"].parameters() if p.requires_grad]
    assert all(p.dtype == torch.float32 for p in trained)
    state["optimizer"] = torch.optim.AdamW(trained, lr=2e-4)


def labelled(sequence, unlabelled):
    return [-100] * unlabelled + sequence[unlabelled:]


def one_by_one(sequences, unlabelled):
    for s in sequences:
        yield {"input_ids": torch.tensor([s]), "labels": torch.tensor([labelled(s, unlabelled)])}


def padded(sequences, unlabelled):
    longest = max(map(len, sequences))
    fill = lambda rows, value: torch.tensor([row + [value] * (longest - len(row)) for row in rows])
    yield {
        "input_ids": fill(sequences, 0),
        "attention_mask": fill([[1] * len(s) for s in sequences], 0),
        "labels": fill([labelled(s, unlabelled) for s in sequences], -100),
    }


def padding_free(sequences, unlabelled):
    row = lambda lists: torch.tensor([[value for each in lists for value in each]])
    yield {
        "input_ids": row(sequences),
        "position_ids": row(range(len(s)) for s in sequences),
        "labels": row(labelled(s, max(1, unlabelled)) for s in sequences),
    }


def loss_of_transformers(batch, count):
    return state["model"](**batch, num_items_in_batch=count).loss


def loss_of_trl(batch, count):
    labels = batch.pop("labels")
    causal_lm = state["model"].get_base_model()
    hidden = causal_lm.model(**batch).last_hidden_state
    return _chunked_cross_entropy_loss(
        hidden, causal_lm.lm_head.weight, _CHUNKED_LM_HEAD_CHUNK_SIZE, labels=labels, num_items_in_batch=count
    )[0]


BATCHES = {"one by one": one_by_one, "padded": padded, "padding-free": padding_free}
LOSSES = {"": loss_of_transformers, "TRL's loss": loss_of_trl}


def train(message, way):
    """One optimizer step; its seconds and the loss."""
    batches, loss_of = BATCHES[way[0]], LOSSES[way[1]]
    sequences, unlabelled = message["sequences"], message["unlabelled"]
    count = sum(len(s) - max(1, unlabelled) for s in sequences)
    total = 0.0
    start = time.perf_counter()
    for batch in batches(sequences, unlabelled):
        loss = loss_of(batch, count)
        loss.backward()
        total += loss.item()
    state["optimizer"].step()
    state["optimizer"].zero_grad(set_to_none=True)
    return time.perf_counter() - start, total


def fastest_way(message):
    train(message, ("one by one", ""))
    batches = BATCHES if len(message["sequences"]) > 1 else ["one by one"]
    first = {(name, ""): train(message, (name, ""))[0] for name in batches}
    best = min(first, key=first.get)
    second = (best[0], "TRL's loss")
    return second if train(message, second)[0] < first[best] else best


def step(message):
    case = str([list(map(len, message["sequences"])), message["unlabelled"]])
    if case not in state["ways"]:
        state["ways"][case] = fastest_way(message)
    way = state["ways"][case]
    seconds, loss = train(message, way)
    named = [way[0] if len(message["sequences"]) > 1 else "", way[1]]
    return {"seconds": seconds, "loss": loss, "way": ", ".join(filter(None, named))}


serve({"prepare": prepare, "step": step})
