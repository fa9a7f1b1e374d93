#!/usr/bin/env bash
# A guess: asking an index for more neighbours than it holds gives those that there are.
# Seen: faiss pads with label -1 and the lowest float32, which index a list from its end; bm25s raises.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/pip install -q faiss-cpu==1.15.1 bm25s==0.3.11 numpy==2.4.6 2>/dev/null
cat >case.py <<'P'
import bm25s
import faiss
import numpy as np
index = faiss.IndexFlatIP(4)
index.add(np.eye(2, 4, dtype="float32"))
scores, labels = index.search(np.eye(1, 4, dtype="float32"), 3)
texts = bm25s.tokenize(["a cat sleeps", "a dog runs"], show_progress=False)
retriever = bm25s.BM25()
retriever.index(texts, show_progress=False)
try:
    retriever.retrieve(bm25s.tokenize("dog", show_progress=False), k=3, show_progress=False)
    raised = None
except ValueError as error:
    raised = str(error)
print("faiss", faiss.__version__, labels, scores, "bm25s", bm25s.__version__, raised)
assert labels[0].tolist() == [0, 1, -1] and scores[0][2] == np.finfo("float32").min
assert raised is not None and "larger than the number of available scores" in raised
P
venv/bin/python case.py
