#!/usr/bin/env bash
# A guess: an integer of a JSON file that fits 64 bits without a sign keeps its digits.
# Seen: above 2^63 - 1 the column becomes floating point, and the digits are rounded without a word.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/pip install -q datasets==5.0.1 2>/dev/null
cat >case.py <<'P'
import datasets
from datasets import load_dataset
datasets.disable_progress_bars()
with open("rows.jsonl", "w") as file:
    file.write('{"id": 12345678901234567890}\n{"id": 7}\n')
read = load_dataset("json", data_files="rows.jsonl", split="train", cache_dir="cache")
print("datasets", datasets.__version__, read.features, list(read["id"]))
assert list(read["id"]) == [12345678901234567168.0, 7.0] and isinstance(read["id"][1], float)
P
HF_HOME="$work/home" venv/bin/python case.py
