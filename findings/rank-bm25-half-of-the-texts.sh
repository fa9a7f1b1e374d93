#!/usr/bin/env bash
# A guess: a text that holds the query word scores above one that does not.
# Seen: when half of the texts hold the word its weight is log(1) = 0 and they score alike; when all do, below zero.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/pip install -q rank-bm25==0.2.2 numpy==2.4.6 2>/dev/null
cat >case.py <<'P'
from importlib.metadata import version
from rank_bm25 import BM25Okapi
half = BM25Okapi([["cat", "sat"], ["dog", "ran"]]).get_scores(["dog"]).tolist()
every = BM25Okapi([["cat", "sat"], ["cat", "ran"]]).get_scores(["cat"]).tolist()
print("rank-bm25", version("rank-bm25"), "in half of the texts:", half, "in all:", every)
assert half == [0.0, 0.0] and max(every) < 0
P
venv/bin/python case.py
