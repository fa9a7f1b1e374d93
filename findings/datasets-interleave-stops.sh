#!/usr/bin/env bash
# A guess: interleave_datasets gives the same rows for map-style sets and for streams of the same rows.
# Seen: with first_exhausted the stream ends one row earlier.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/pip install -q datasets==5.0.1 2>/dev/null
cat >case.py <<'P'
import datasets
from datasets import Dataset, interleave_datasets
a, b = Dataset.from_dict({"x": [1, 2, 3]}), Dataset.from_dict({"x": [10, 20, 30, 40, 50]})
rows = lambda *sets: [row["x"] for row in interleave_datasets(list(sets), stopping_strategy="first_exhausted")]
mapped, streamed = rows(a, b), rows(a.to_iterable_dataset(), b.to_iterable_dataset())
print("datasets", datasets.__version__, "map-style", mapped, "stream", streamed)
assert mapped == [1, 10, 2, 20, 3, 30]
assert streamed == [1, 10, 2, 20, 3]
P
venv/bin/python case.py
