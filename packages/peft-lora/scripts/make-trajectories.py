"""Makes src/fixtures/trajectories.{json,safetensors}: short trainings in PEFT of the adapters whose training is more than a forward pass.

    python make-trajectories.py    (needs torch, transformers, peft and safetensors; made with peft 0.21)

The base model is the tiny llama of packages/models/src/fixtures. In the tensors: `<case>.initial.<parameter>` and
`<case>.final.<parameter>` by PEFT's names without the adapter's, and `<case>.file.<key>`, what PEFT saves at the end.
"""

import json
from pathlib import Path

import peft
import torch
import transformers
from peft import get_peft_config, get_peft_model, get_peft_model_state_dict
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM

PACKAGE = Path(__file__).parent.parent
FIXTURES = PACKAGE / "src" / "fixtures"
BASE = PACKAGE.parent / "models" / "src" / "fixtures" / "llama"
torch.set_num_threads(1)

STEPS, LEARNING_RATE, WEIGHT_DECAY, MAX_NORM = 40, 5e-3, 0.01, 0.5
CASES = {
    "adalora": {
        "peft_type": "ADALORA", "target_modules": ["q_proj", "v_proj", "down_proj"], "init_r": 6, "target_r": 3, "tinit": 4,
        "tfinal": 8, "deltaT": 3, "beta1": 0.8, "beta2": 0.9, "orth_reg_weight": 0.3, "total_step": STEPS, "lora_alpha": 16,
    },
    "prefix": {"peft_type": "PREFIX_TUNING", "num_virtual_tokens": 5},
    "prefix_projection": {
        "peft_type": "PREFIX_TUNING", "num_virtual_tokens": 4, "prefix_projection": True, "encoder_hidden_size": 12,
    },
}


def make_batches():
    """Sequences of different lengths; the first tokens of each are not learned."""
    generator = torch.Generator().manual_seed(3)
    draw = lambda low, high: int(torch.randint(low, high, (1,), generator=generator))
    batches = []
    for _ in range(4):
        rows = [torch.randint(3, 96, (draw(5, 18),), generator=generator).tolist() for _ in range(3)]
        batches.append([{"ids": ids, "prompt": draw(1, 4)} for ids in rows])
    return batches


def padded(rows):
    width = max(len(row["ids"]) for row in rows)
    ids = torch.zeros(len(rows), width, dtype=torch.long)
    mask, labels = torch.zeros_like(ids), torch.full_like(ids, -100)
    for i, row in enumerate(rows):
        n = len(row["ids"])
        ids[i, :n] = torch.tensor(row["ids"])
        mask[i, :n] = 1
        labels[i, row["prompt"]:n] = ids[i, row["prompt"]:n]
    return {"input_ids": ids, "attention_mask": mask, "labels": labels}


def short(name):
    return name.replace(".default", "")


def run(name, config, batches, tensors):
    torch.manual_seed(7)
    base = AutoModelForCausalLM.from_pretrained(BASE, dtype=torch.float32, attn_implementation="eager")
    model = get_peft_model(base, get_peft_config({"task_type": "CAUSAL_LM", **config}))
    model.train()
    trained = {short(n): p for n, p in model.named_parameters() if p.requires_grad}
    keep = lambda when, source: tensors.update(
        {f"{name}.{when}.{key}": value.detach().clone().contiguous() for key, value in source.items()}
    )
    keep("initial", trained)
    optimizer = torch.optim.AdamW(trained.values(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    result = {"config": config, "loss": [], "grad_norm": []}
    if name == "adalora":
        result["ranks"] = []
    for step in range(1, STEPS + 1):
        loss = model(**padded(batches[(step - 1) % len(batches)])).loss
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(trained.values(), MAX_NORM)
        optimizer.step()
        if name == "adalora":
            model.base_model.update_and_allocate(step)
            used = [p != 0 for n, p in trained.items() if n.endswith("lora_E")]
            result["ranks"].append(sum(int(one.sum()) for one in used))
        optimizer.zero_grad()
        result["loss"].append(loss.item())
        result["grad_norm"].append(norm.item())
    keep("final", trained)
    keep("file", get_peft_model_state_dict(model))
    if name == "adalora":
        result["rank_pattern"] = {short(key): value for key, value in model.peft_config["default"].rank_pattern.items()}
    return result


tensors, batches = {}, make_batches()
cases = {name: run(name, config, batches, tensors) for name, config in CASES.items()}
output = {
    "made_with": {"peft": peft.__version__, "transformers": transformers.__version__, "torch": torch.__version__},
    "training": {"learning_rate": LEARNING_RATE, "weight_decay": WEIGHT_DECAY, "max_norm": MAX_NORM},
    "batches": batches,
    "cases": cases,
}
(FIXTURES / "trajectories.json").write_text(json.dumps(output) + "\n")
save_file(tensors, FIXTURES / "trajectories.safetensors")
for name, case in cases.items():
    print(name, case["loss"][0], case["loss"][-1], case["grad_norm"][0], case["grad_norm"][-1], case.get("ranks"))
