"""Makes src/fixtures/losses.{json,safetensors}: every loss of TRL on 64 pairs, with its gradient and its metrics.

    python scripts/make-losses.py    (needs torch, trl and safetensors; made with trl 1.13)

The trainers' own methods compute the losses from logits that are drawn here. The gradient by the logits of each sequence is kept as its
product with a direction that is drawn too: `<case>.gradient`, `[sequences]`.
"""

import json
from collections import defaultdict
from pathlib import Path
from types import SimpleNamespace

import torch
from safetensors.torch import save_file
from trl import DPOTrainer, KTOTrainer
from trl.experimental.cpo import CPOTrainer
from trl.experimental.orpo import ORPOTrainer
from trl.trainer.dpo_trainer import DataCollatorForPreference

OUT = Path(__file__).parent.parent / "src" / "fixtures"
PAIRS, VOCAB = 64, 6
generator = torch.Generator().manual_seed(11)
draw = lambda low, high: int(torch.randint(low, high, (1,), generator=generator))
ids = lambda n: torch.randint(0, VOCAB, (n,), generator=generator).tolist()

rows = [{"prompt_ids": ids(draw(1, 4)), "chosen_ids": ids(draw(1, 5)), "rejected_ids": ids(draw(1, 5))} for _ in range(PAIRS)]
lengths = torch.tensor([[len(row["chosen_ids"]), len(row["rejected_ids"])] for row in rows])
refs = -1.8 * lengths + torch.randn(PAIRS, 2, generator=generator)
padded = DataCollatorForPreference(pad_token_id=0)(rows)
width = padded["input_ids"].shape[1]
logits = 1.5 * torch.randn(2 * PAIRS, width, VOCAB, generator=generator)
direction = torch.randn(2 * PAIRS, width, VOCAB, generator=generator)
padded |= {"ref_chosen_logps": refs[:, 0], "ref_rejected_logps": refs[:, 1]}

accelerator = SimpleNamespace(device="cpu", gather=lambda x: x, gather_for_metrics=lambda x: x)
cases, tensors = {}, {"logits": logits, "refs": refs, "direction": direction}


class Model(torch.nn.Module):
    """Says what was drawn, whatever it is asked."""

    def __init__(self, *answers):
        super().__init__()
        self.answers, self.calls = answers, 0

    def forward(self, *_, **__):
        self.calls += 1
        return SimpleNamespace(logits=self.answers[(self.calls - 1) % len(self.answers)])


def keep(name, config, loss, metrics, leaf):
    loss.backward()
    tensors[f"{name}.gradient"] = (leaf.grad * direction).sum((1, 2))
    cases[name] = {"config": config, "loss": loss.item(), "metrics": metrics}


def trainer_of(kind, **attributes):
    trainer = kind.__new__(kind)
    common = dict(
        accelerator=accelerator, model=SimpleNamespace(training=True), aux_loss_enabled=False, precompute_ref_logps=True,
        _metrics={"train": defaultdict(list)}, _total_train_tokens=0, _tp_size=1,
    )
    for key, value in {**common, **attributes}.items():
        setattr(trainer, key, value)
    return trainer


means = lambda trainer: {key: sum(values) / len(values) for key, values in trainer._metrics["train"].items()}


def dpo(name, losses, weights=None, beta=0.1, smoothing=0.0, ld_alpha=None, divergence="reverse_kl", alpha=0.5, weighting=False):
    leaf = logits.clone().requires_grad_()
    trainer = trainer_of(
        DPOTrainer, loss_types=losses, loss_weights=weights or [1.0] * len(losses), beta=beta, label_smoothing=smoothing,
        ld_alpha=ld_alpha, f_divergence_type=divergence, f_alpha_divergence_coef=alpha, use_weighting=weighting,
        args=SimpleNamespace(discopop_tau=0.05),
    )
    loss = trainer._compute_loss(Model(leaf), dict(padded), False)
    config = {
        "lossType": losses, "lossWeights": weights, "beta": beta, "labelSmoothing": smoothing, "ldAlpha": ld_alpha,
        "fDivergenceType": divergence, "fAlphaDivergenceCoef": alpha, "useWeighting": weighting,
    }
    keep(name, {key: value for key, value in config.items() if value is not None}, loss, means(trainer), leaf)


def without_reference(name, kind, config, **attributes):
    leaf = logits.clone().requires_grad_()
    trainer = trainer_of(kind, is_encoder_decoder=False, pad_token_id=0, padding_value=0, **attributes)
    batch = {}
    for side, at in (("chosen", slice(0, PAIRS)), ("rejected", slice(PAIRS, None))):
        batch[f"{side}_input_ids"], batch[f"{side}_attention_mask"] = padded["input_ids"][at], padded["attention_mask"][at]
        batch[f"{side}_labels"] = torch.where(padded["completion_mask"][at] == 1, padded["input_ids"][at], -100)
    loss, metrics = trainer.get_batch_loss_metrics(Model(leaf), batch)
    keep(name, config, loss, {key: float(value) for key, value in metrics.items()}, leaf)


def kto(name, loss_type, desirable=1.0, undesirable=1.0, beta=0.1, shift=0.0):
    """All sides as rows of their own; the mismatched sequence of a row is the other side of its pair."""
    leaf = logits.clone().requires_grad_()
    swap = lambda tensor: torch.cat([tensor[PAIRS:], tensor[:PAIRS]])
    sequences = {key: padded[key] for key in ("input_ids", "attention_mask", "completion_mask")}
    ref = refs.T.reshape(-1)
    inputs = {
        **sequences, **{f"KL_{key}": swap(value) for key, value in sequences.items()},
        "label": torch.tensor([True] * PAIRS + [False] * PAIRS), "ref_logps": ref, "ref_KL_logps": swap(ref) + shift,
    }
    estimates = loss_type == "kto"
    trainer = trainer_of(
        KTOTrainer, loss_type=loss_type, beta=beta, desirable_weight=desirable, undesirable_weight=undesirable,
        calculate_KL=estimates, use_liger_kernel=False,
    )
    loss = trainer._compute_loss(Model(swap(logits), leaf) if estimates else Model(leaf), inputs, False)
    config = {"lossType": loss_type, "beta": beta, "desirableWeight": desirable, "undesirableWeight": undesirable}
    keep(name, config, loss, means(trainer), leaf)


SMOOTH = {"exo_pair": 1e-3, "robust": 0.1, "aot": 0.1, "aot_unpaired": 0.1}
for loss in [
    "sigmoid", "hinge", "ipo", "exo_pair", "nca_pair", "robust", "bco_pair", "sppo_hard", "aot", "aot_unpaired", "apo_zero",
    "apo_down", "discopop", "sft", "sigmoid_norm",
]:
    dpo(loss, [loss], smoothing=SMOOTH.get(loss, 0.0))
    dpo(f"{loss}, beta 0.5", [loss], smoothing=SMOOTH.get(loss, 0.0), beta=0.5)
dpo("sigmoid + sft", ["sigmoid", "sft"])
dpo("sigmoid + bco_pair + sft, weighted", ["sigmoid", "bco_pair", "sft"], weights=[0.8, 0.2, 1.0])
for alpha in (0.0, 0.4, 1.0):
    dpo(f"sigmoid, ldAlpha {alpha}", ["sigmoid"], ld_alpha=alpha)
dpo("ipo, ldAlpha 0.4", ["ipo"], ld_alpha=0.4)
for divergence in ("forward_kl", "js_divergence", "alpha_divergence"):
    for loss in ("sigmoid", "ipo", "hinge"):
        dpo(f"{loss}, {divergence}", [loss], divergence=divergence, beta=0.3)
for alpha in (1.0, 2.0):
    dpo(f"sigmoid, alpha_divergence of {alpha}", ["sigmoid"], divergence="alpha_divergence", alpha=alpha)
# Not hinge: TRL multiplies it in place, and torch then has no gradient of it.
for loss in ("sigmoid", "ipo", "nca_pair"):
    dpo(f"{loss}, weighting", [loss], weighting=True)

for beta in (0.1, 0.5):
    without_reference(f"orpo, beta {beta}", ORPOTrainer, {"lossType": ["orpo"], "beta": beta}, beta=beta)
COMMON = dict(loss_type="sigmoid", alpha=0.0, simpo_gamma=0.5, cpo_alpha=1.0, label_smoothing=0.0, beta=0.1)
without_reference("cpo", CPOTrainer, {"lossType": ["cpo"], "beta": 0.1}, **COMMON)
without_reference(
    "cpo, smoothed", CPOTrainer, {"lossType": ["cpo"], "beta": 0.3, "labelSmoothing": 0.1, "cpoAlpha": 0.5},
    **{**COMMON, "beta": 0.3, "label_smoothing": 0.1, "cpo_alpha": 0.5},
)
without_reference(
    "simpo", CPOTrainer, {"lossType": ["simpo"], "beta": 2.0, "simpoGamma": 1.0},
    **{**COMMON, "loss_type": "simpo", "cpo_alpha": 0.0, "beta": 2.0, "simpo_gamma": 1.0},
)
without_reference(
    "simpo + sft, what TRL does by default", CPOTrainer, {"lossType": ["simpo", "sft"], "beta": 0.1},
    **{**COMMON, "loss_type": "simpo"},
)

kto("kto", "kto", shift=-4.0)
kto("kto, weights", "kto", desirable=1.3, undesirable=0.8, beta=0.3, shift=-3.0)
kto("kto, negative estimate", "kto", shift=5.0)
kto("apo_zero_unpaired", "apo_zero_unpaired", desirable=1.1)

save_file({key: value.contiguous() for key, value in tensors.items()}, OUT / "losses.safetensors")
(OUT / "losses.json").write_text(json.dumps({"rows": rows, "cases": cases}) + "\n")
print(len(cases), "cases; estimates of KTO:", [round(case["metrics"]["kl"], 3) for case in cases.values() if "kl" in case["metrics"]])
