"""Learning rates of transformers' schedules over 100 steps: src/schedules/fixtures/schedules.json.

    python scripts/make_schedules.py

Needs torch and transformers. Numbers are float64.
"""

import json
import math
from pathlib import Path

import torch
import transformers
from transformers import get_scheduler

STEPS = 100
PEAK = 3e-4


def snake(kwargs):
    return {"".join("_" + c.lower() if c.isupper() else c for c in key): value for key, value in kwargs.items()}


def optimizer_of(*peaks):
    return torch.optim.SGD([{"params": [torch.nn.Parameter(torch.zeros(1))], "lr": peak} for peak in peaks], lr=peaks[0])


def by_step(name, warmup, total, kwargs):
    optimizer = optimizer_of(PEAK)
    schedule = get_scheduler(name, optimizer, warmup, total, snake(kwargs))
    rates = []
    for _ in range(STEPS):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return {"name": name, "peak": PEAK, "warmupSteps": warmup, "totalSteps": total, "kwargs": kwargs, "rates": rates}


def plateau(kwargs, metrics):
    """Rates of two groups after each observed metric."""
    peaks = [PEAK, 16 * PEAK]
    optimizer = optimizer_of(*peaks)
    schedule = get_scheduler("reduce_lr_on_plateau", optimizer, scheduler_specific_kwargs=snake(kwargs))
    rates = []
    for metric in metrics:
        schedule.step(metric)
        rates.append([group["lr"] for group in optimizer.param_groups])
    return {"kwargs": kwargs, "peaks": peaks, "metrics": metrics, "rates": rates}


CASES = [
    ("linear", {}),
    ("cosine", {}),
    ("cosine", {"numCycles": 1.25}),
    ("cosine_with_restarts", {}),
    ("cosine_with_restarts", {"numCycles": 3}),
    ("cosine_with_min_lr", {"minLr": 2e-5}),
    ("cosine_with_min_lr", {"minLrRate": 0.1, "numCycles": 0.75}),
    ("cosine_warmup_with_min_lr", {"minLr": 2e-5}),
    ("cosine_warmup_with_min_lr", {"minLrRate": 0.05, "warmupLrRate": 0.2}),
    ("polynomial", {}),
    ("polynomial", {"lrEnd": 1e-5, "power": 2.5}),
    ("constant", {}),
    ("constant_with_warmup", {}),
    ("inverse_sqrt", {}),
    ("inverse_sqrt", {"timescale": 40}),
    ("warmup_stable_decay", {"numDecaySteps": 30}),
    ("warmup_stable_decay", {"numDecaySteps": 20, "numStableSteps": 25, "minLrRatio": 0.1, "numCycles": 0.4}),
    ("warmup_stable_decay", {"numDecaySteps": 40, "warmupType": "cosine", "decayType": "linear", "minLrRatio": 0.05}),
    ("warmup_stable_decay", {"numDecaySteps": 40, "warmupType": "1-sqrt", "decayType": "1-sqrt"}),
]

# Falls, stays, rises, falls again: every branch of the plateau schedule is taken.
METRICS = [3 * math.exp(-i / 6) + 1 + (0.02 * (i % 3)) for i in range(30)] + [1.2 + 0.05 * math.sin(i) for i in range(40)]
METRICS += [1.1 - 0.02 * i for i in range(10)] + [0.9] * 20

PLATEAUS = [
    ({}, METRICS),
    ({"patience": 2, "factor": 0.5}, METRICS),
    ({"patience": 1, "factor": 0.3, "cooldown": 3, "minLr": 5e-5}, METRICS),
    ({"patience": 3, "factor": 0.5, "threshold": 0.05, "thresholdMode": "abs", "eps": 1e-4}, METRICS),
    ({"mode": "max", "patience": 2, "factor": 0.7}, [-m for m in METRICS]),
    ({"mode": "max", "patience": 2, "factor": 0.7, "threshold": 0.01, "thresholdMode": "abs"}, [5 - m for m in METRICS]),
    ({"patience": 0, "factor": 0.5}, [math.nan, 2.0, math.nan, 1.0, 1.0, 0.5]),
]


def main():
    folder = Path(__file__).parent.parent / "src" / "schedules" / "fixtures"
    folder.mkdir(parents=True, exist_ok=True)
    data = {
        "made_with": f"transformers {transformers.__version__}, torch {torch.__version__}",
        # A total below 100 shows what happens after the end.
        "by_step": [by_step(name, warmup, total, kw) for name, kw in CASES for warmup, total in [(0, 100), (12, 100), (7, 80)]],
        "plateau": [plateau(*case) for case in PLATEAUS],
    }
    for case in data["plateau"]:
        case["metrics"] = [None if math.isnan(m) else m for m in case["metrics"]]
    (folder / "schedules.json").write_text(json.dumps(data, separators=(",", ":")))


main()
