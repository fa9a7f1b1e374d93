#!/usr/bin/env bash
# A guess: nested objects whose keys differ from row to row (the schemas of tools) come back the same however the rows were given.
# Seen: from a JSON file they come back as written; from a list each gets every key of the others, with None.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/pip install -q datasets==5.0.1 2>/dev/null
cat >case.py <<'P'
import json
import datasets
from datasets import Dataset, load_dataset
datasets.disable_progress_bars()
rows = [{"arguments": {"city": "Bern"}}, {"arguments": {"year": 1848}}]
with open("rows.jsonl", "w") as file:
    file.writelines(json.dumps(row) + "\n" for row in rows)
read = load_dataset("json", data_files="rows.jsonl", split="train", cache_dir="cache")
listed = Dataset.from_list(rows)
print("datasets", datasets.__version__, read.features, read.to_list(), listed.features, listed.to_list())
assert type(read.features["arguments"]).__name__ == "Json" and read.to_list() == rows
assert listed.to_list() == [{"arguments": {"city": "Bern", "year": None}}, {"arguments": {"city": None, "year": 1848}}]
P
HF_HOME="$work/home" venv/bin/python case.py
