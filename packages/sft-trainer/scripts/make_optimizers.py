"""Parameters after steps of torch's and transformers' optimizers: src/optimizers/fixtures/optimizers.json, and PEFT's LoRA+
groups: loraplus.json.

    python scripts/make_optimizers.py

Needs torch, transformers and peft. Gradients and first values are formulas (see `values`), so that only results are stored.
Lion is in neither library: the reference is the update of Algorithm 2 of its paper, written out below.
"""

import json
import math
from pathlib import Path

import peft
import torch
import transformers
from peft.optimizers import create_loraplus_optimizer
from transformers.optimization import Adafactor

SHAPES = {"vector": [7], "matrix": [6, 5], "cube": [3, 4, 5]}
STEPS = 25
SAVED = [1, 2, 10, 25]
LR = 1e-2
GRAD_SCALE = 0.5


def values(shape, salt, spread):
    """Float32, the same in every language: sines of several sizes."""
    n = math.prod(shape)
    flat = [math.sin(12.9898 * (i + 1) + 78.233 * salt) * 10.0 ** (-(i % spread)) for i in range(n)]
    return torch.tensor(flat, dtype=torch.float64).to(torch.float32).reshape(shape)


class Lion(torch.optim.Optimizer):
    def __init__(self, params, lr, betas, weight_decay):
        super().__init__(params, {"lr": lr, "betas": betas, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            b1, b2 = group["betas"]
            for p in group["params"]:
                m = self.state[p].setdefault("m", torch.zeros_like(p))
                c = b1 * m + (1 - b1) * p.grad
                p.sub_(group["lr"] * (torch.sign(c) + group["weight_decay"] * p))
                m.copy_(b2 * m + (1 - b2) * p.grad)


def torch_adamw(params, beta1=0.9, beta2=0.999, eps=1e-8, weight_decay=0.0):
    return torch.optim.AdamW(params, lr=LR, betas=(beta1, beta2), eps=eps, weight_decay=weight_decay)


def sgd(params, weight_decay=0.0, **args):
    return torch.optim.SGD(params, lr=LR, weight_decay=weight_decay, **args)


def lion(params, beta1=0.9, beta2=0.999, weight_decay=0.0):
    return Lion(params, LR, (beta1, beta2), weight_decay)


def adafactor(params, weight_decay=0.0, **args):
    args = {"scale_parameter": False, "relative_step": False, **args}
    return Adafactor(params, lr=None if args["relative_step"] else LR, weight_decay=weight_decay, **args)


CASES = [
    ("adamw", torch_adamw, {}, {}),
    ("adamw", torch_adamw, {"beta1": 0.8, "beta2": 0.95, "eps": 1e-6, "weight_decay": 0.1}, {}),
    ("sgd", sgd, {}, {}),
    ("sgd", sgd, {"weight_decay": 0.1}, {"momentum": 0.9}),
    ("sgd", sgd, {"weight_decay": 0.1}, {"momentum": 0.9, "nesterov": True}),
    ("sgd", sgd, {}, {"momentum": 0.8, "dampening": 0.3}),
    ("lion", lion, {}, {}),
    ("lion", lion, {"beta1": 0.95, "beta2": 0.98, "weight_decay": 0.3}, {}),
    ("adafactor", adafactor, {}, {}),
    ("adafactor", adafactor, {"weight_decay": 0.1}, {"scale_parameter": True, "clip_threshold": 0.5}),
    ("adafactor", adafactor, {}, {"beta1": 0.9, "decay_rate": -0.6, "eps": [1e-6, 1e-2]}),
    ("adafactor", adafactor, {}, {"scale_parameter": True, "relative_step": True, "warmup_init": True}),
    ("adafactor", adafactor, {"weight_decay": 0.05}, {"scale_parameter": True, "relative_step": True}),
]


def run(name, create, options, args):
    params = {key: torch.nn.Parameter(values(shape, i, 2)) for i, (key, shape) in enumerate(SHAPES.items())}
    keywords = {key: tuple(value) if isinstance(value, list) else value for key, value in args.items()}
    # The matrix is in a group with four times the learning rate, where the optimizer has one.
    relative = args.get("relative_step", False)
    groups = [{"params": [params["vector"], params["cube"]]}, {"params": [params["matrix"]]}]
    optimizer = create(groups, **options, **keywords)
    saved = {}
    for step in range(1, STEPS + 1):
        if not relative:
            lr = LR * (1 - step / 40)
            optimizer.param_groups[0]["lr"] = lr
            optimizer.param_groups[1]["lr"] = 4 * lr
        for i, (key, shape) in enumerate(SHAPES.items()):
            # One step without any gradient in places: zeros take every branch.
            grad = values(shape, 10 * step + i, 4) * (0.0 if step == 3 else 1.0)
            params[key].grad = grad * GRAD_SCALE
        optimizer.step()
        if step in SAVED:
            saved[step] = {key: p.detach().flatten().tolist() for key, p in params.items()}
    return {"name": name, "options": options, "args": args, "steps": saved}


def loraplus():
    config = transformers.LlamaConfig(
        vocab_size=16, hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=2, attention_bias=True
    )
    model = transformers.LlamaForCausalLM(config)
    lora = peft.LoraConfig(
        r=2,
        target_modules=["q_proj", "down_proj", "embed_tokens"],
        bias="lora_only",
        use_dora=False,
        modules_to_save=["lm_head"],
    )
    model = peft.get_peft_model(model, lora)
    optimizer = create_loraplus_optimizer(
        model, torch.optim.AdamW, lr=2e-4, loraplus_lr_ratio=16, loraplus_lr_embedding=3e-6, loraplus_weight_decay=0.1
    )
    names = {p: name for name, p in model.named_parameters()}
    return [
        # As in an adapter's file: without the adapter's name.
        {"name": names[p].replace(".default", ""), "shape": list(p.shape), "lr": group["lr"], "weightDecay": group["weight_decay"]}
        for group in optimizer.param_groups
        for p in group["params"]
    ]


def main():
    folder = Path(__file__).parent.parent / "src" / "optimizers" / "fixtures"
    folder.mkdir(parents=True, exist_ok=True)
    made_with = f"torch {torch.__version__}, transformers {transformers.__version__}, peft {peft.__version__}"
    cases = [run(*case) for case in CASES]
    data = {"made_with": made_with, "lr": LR, "gradScale": GRAD_SCALE, "shapes": SHAPES, "cases": cases}
    (folder / "optimizers.json").write_text(json.dumps(data, separators=(",", ":")))
    groups = {"made_with": made_with, "lr": 2e-4, "ratio": 16, "lrEmbedding": 3e-6, "weightDecay": 0.1, "parameters": loraplus()}
    (folder / "loraplus.json").write_text(json.dumps(groups, indent=1))


main()
