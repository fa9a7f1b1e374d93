#!/usr/bin/env bash
# A guess: a text in a JSON file stays a text.
# Seen: a column whose texts all look like dates becomes timestamps, and the rows hold datetime objects.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/pip install -q datasets==5.0.1 2>/dev/null
cat >case.py <<'P'
import datetime
import datasets
from datasets import load_dataset
datasets.disable_progress_bars()
with open("rows.jsonl", "w") as file:
    file.write('{"answer": "1848-09-12"}\n{"answer": "1291-08-01"}\n')
read = load_dataset("json", data_files="rows.jsonl", split="train", cache_dir="cache")
print("datasets", datasets.__version__, read.features, read["answer"][0])
assert read["answer"][0] == datetime.datetime(1848, 9, 12)
P
HF_HOME="$work/home" venv/bin/python case.py
