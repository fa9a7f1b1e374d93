"""The Python side of the `retrieval` bench: rank_bm25's BM25Okapi and bm25s over the passages in the JSON file it is given."""

import json
import re
import sys
import time

import numpy as np

DATA = json.load(open(sys.argv[1]))
PASSAGES, QUESTIONS = ([re.findall(r"\w+", text.lower()) for text in DATA[key]] for key in ("passages", "questions"))
MADE = {}


def build(message):
    start = time.perf_counter()
    # From the texts, as ours is built.
    passages = [re.findall(r"\w+", text.lower()) for text in DATA["passages"]]
    if message["library"] == "rank-bm25":
        from rank_bm25 import BM25Okapi

        MADE["rank-bm25"] = BM25Okapi(passages, k1=1.2, b=0.75)
    else:
        import bm25s

        MADE["bm25s"] = bm25s.BM25(method="lucene", k1=1.2, b=0.75)
        MADE["bm25s"].index(passages, show_progress=False)
    return {"seconds": time.perf_counter() - start}


def search(message):
    library, count = message["library"], message["count"]
    made = MADE[library]
    start = time.perf_counter()
    for words in QUESTIONS[:count]:
        if library == "bm25s":
            made.retrieve([words], k=10, show_progress=False)
        else:
            scores = made.get_scores(words)
            best = np.argpartition(-scores, 10)[:10]
            best[np.argsort(-scores[best])]
    return {"seconds": time.perf_counter() - start}


def scores(message):
    found = MADE["bm25s"].retrieve(QUESTIONS[: message["count"]], k=10, show_progress=False)
    return {"scores": [[float(s) for s in row] for row in found.scores]}


if __name__ == "__main__":
    from worker import serve

    serve({"build": build, "search": search, "scores": scores})
