#!/usr/bin/env bash
# A guess: Dataset.from_list keeps every key of every row, as load_dataset("json") does for the same rows.
# Seen: the columns are those of the first row; a key that only later rows have is dropped without a word.
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
rows = [{"question": "one"}, {"question": "two", "answer": "2"}]
with open("rows.jsonl", "w") as file:
    file.writelines(json.dumps(row) + "\n" for row in rows)
listed = Dataset.from_list(rows).to_list()
read = load_dataset("json", data_files="rows.jsonl", split="train", cache_dir="cache").to_list()
print("datasets", datasets.__version__, "from_list:", listed, "from a file:", read)
assert listed == [{"question": "one"}, {"question": "two"}]
assert read == [{"question": "one", "answer": None}, {"question": "two", "answer": "2"}]
P
HF_HOME="$work/home" venv/bin/python case.py
