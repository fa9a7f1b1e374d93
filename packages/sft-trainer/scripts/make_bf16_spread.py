"""How far PyTorch's losses in bfloat16 lie from its own in float32, over the sixty steps of PEFT's goldens:
src/loop/fixtures/bf16-spread.json.

    python scripts/make_bf16_spread.py <folder of the goldens> [golden...]

Needs torch, transformers and peft. Everything is trained as the goldens were (their README has the recipe), in float32 and in
the two ways in which bfloat16 is trained with: the weights rounded to it (adapters stay float32, as PEFT keeps them), and
autocast. The golden's order of the data and two others, so that one lucky run does not set the bound.
"""

import json
import sys
from pathlib import Path

import peft
import torch
import transformers
from safetensors.torch import load_file

FOLDER = Path(sys.argv[1])
CASES = {
    "a_lora_qv": "tiny-llama",
    "b_rslora_all": "tiny-llama",
    "c_dora": "tiny-llama",
}
STEPS, ORDERS = 60, (0, 4, 8)


def losses(case, base, variant, offset, batches):
    dtype = torch.bfloat16 if "weights" in variant else torch.float32
    model = transformers.AutoModelForCausalLM.from_pretrained(FOLDER / base, dtype=dtype, attn_implementation="eager")
    model = peft.PeftModel.from_pretrained(model, FOLDER / "lora" / case / "initial", is_trainable=True)
    model.train()
    parameters = [p for p in model.parameters() if p.requires_grad]
    assert all(p.dtype == torch.float32 for p in parameters)
    optimizer = torch.optim.AdamW(parameters, lr=0, weight_decay=0.01)
    result = []
    for step in range(STEPS):
        micros = [batches[(2 * step + i + offset) % 12] for i in range(2)]
        items = sum(int((m["labels"][:, 1:] != -100).sum()) for m in micros)
        total = 0.0
        for m in micros:
            with torch.autocast("cpu", torch.bfloat16, enabled="autocast" in variant):
                logits = model(input_ids=m["input_ids"], attention_mask=m["attention_mask"]).logits
            # Virtual tokens come first and have no labels.
            logits = logits[:, -m["labels"].shape[1] :].float()
            loss = torch.nn.functional.cross_entropy(logits[:, :-1].flatten(0, 1), m["labels"][:, 1:].flatten(), ignore_index=-100, reduction="sum") / items
            loss.backward()
            total += loss.item()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.param_groups[0]["lr"] = 1e-3 * step / 6 if step < 6 else 1e-3 * (60 - step) / 54
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        result.append(total)
    return torch.tensor(result, dtype=torch.float64)


def main():
    torch.set_num_threads(1)
    tensors = load_file(FOLDER / "lora" / "batches.safetensors")
    batches = [{key: tensors[f"mb{i}.{key}"] for key in ("input_ids", "attention_mask", "labels")} for i in range(12)]
    path = Path(__file__).parent.parent / "src" / "loop" / "fixtures" / "bf16-spread.json"
    path.parent.mkdir(exist_ok=True)
    cases = json.loads(path.read_text())["cases"] if path.exists() else {}
    made_with = f"torch {torch.__version__}, transformers {transformers.__version__}, peft {peft.__version__}"
    for case in sys.argv[2:] or CASES:
        base = CASES[case]
        golden = json.loads((FOLDER / "lora" / case / "trajectory.json").read_text())["loss"]
        spreads = []
        for offset in ORDERS:
            exact = losses(case, base, "float32", offset, batches)
            if offset == 0:
                assert (exact - torch.tensor(golden)).abs().max() < 1e-4, f"{case} is not trained as its golden was"
            for variant in ("weights", "autocast", "weights and autocast"):
                difference = (losses(case, base, variant, offset, batches) - exact).abs()
                spreads.append({"variant": variant, "offset": offset, "max": float(difference.max()), "mean": float(difference.mean())})
        cases[case] = spreads
        print(case, "max", max(s["max"] for s in spreads), "mean", max(s["mean"] for s in spreads))
        path.write_text(json.dumps({"made_with": made_with, "steps": STEPS, "cases": cases}, indent=2) + "\n")


main()
