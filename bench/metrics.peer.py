"""The Python side of the `metrics` bench: scores the pairs in the JSON file it is given.

BLEU, chrF and TER are sacrebleu. rouge_score is not on every mirror, so ROUGE is a rewrite with the same work per pair:
a lower-casing regular expression, NLTK's PorterStemmer on words of more than three letters, Counters of n-gram tuples,
and the full quadratic table of the longest common subsequence in plain Python lists.
"""

import json
import re
import sys
import time
from collections import Counter


def stemmer():
    from nltk.stem.porter import PorterStemmer

    return PorterStemmer()


def tokenize(text, stem):
    words = re.split(r"\s+", re.sub(r"[^a-z0-9]+", " ", text.lower()))
    if stem:
        words = [stem.stem(word) if len(word) > 3 else word for word in words]
    return [word for word in words if re.match(r"^[a-z0-9]+$", word)]


def f_measure(precision, recall):
    return 2 * precision * recall / (precision + recall) if precision + recall > 0 else 0.0


def triple(matches, predicted, wanted):
    precision, recall = matches / max(predicted, 1), matches / max(wanted, 1)
    return [precision, recall, f_measure(precision, recall)]


def grams(words, n):
    counts = Counter()
    for gram in (tuple(words[i : i + n]) for i in range(len(words) - n + 1)):
        counts[gram] += 1
    return counts


def score_grams(target, prediction, n):
    wanted, predicted = grams(target, n), grams(prediction, n)
    matches = sum(min(count, predicted[gram]) for gram, count in wanted.items())
    return triple(matches, sum(predicted.values()), sum(wanted.values()))


def lcs_table(a, b):
    table = [[0] * (len(b) + 1) for _ in range(len(a) + 1)]
    for i in range(1, len(a) + 1):
        for j in range(1, len(b) + 1):
            if a[i - 1] == b[j - 1]:
                table[i][j] = table[i - 1][j - 1] + 1
            else:
                table[i][j] = max(table[i - 1][j], table[i][j - 1])
    return table


def score_lcs(target, prediction):
    if not target or not prediction:
        return [0.0, 0.0, 0.0]
    return triple(lcs_table(target, prediction)[-1][-1], len(prediction), len(target))


def lcs_positions(target, prediction):
    table, found = lcs_table(target, prediction), []
    i, j = len(target), len(prediction)
    while i > 0 and j > 0:
        if target[i - 1] == prediction[j - 1]:
            found.insert(0, i - 1)
            i, j = i - 1, j - 1
        elif table[i][j - 1] > table[i - 1][j]:
            j -= 1
        else:
            i -= 1
    return found


def score_summary(targets, predictions):
    wanted, predicted = sum(map(len, targets)), sum(map(len, predictions))
    if not wanted or not predicted:
        return [0.0, 0.0, 0.0]
    left_t, left_p = Counter(), Counter()
    for line in targets:
        left_t.update(line)
    for line in predictions:
        left_p.update(line)
    matches = 0
    for line in targets:
        union = sorted(set().union(*(lcs_positions(line, other) for other in predictions)))
        for word in (line[i] for i in union):
            if left_p[word] > 0 and left_t[word] > 0:
                matches += 1
                left_p[word] -= 1
                left_t[word] -= 1
    return triple(matches, predicted, wanted)


def rouge(target, prediction, types, stem):
    t, p = tokenize(target, stem), tokenize(prediction, stem)
    scores = {}
    for kind in types:
        if kind == "rougeL":
            scores[kind] = score_lcs(t, p)
        elif kind == "rougeLsum":
            lines = [[tokenize(line, stem) for line in text.split("\n") if line] for text in (target, prediction)]
            scores[kind] = score_summary(*lines)
        else:
            scores[kind] = score_grams(t, p, int(kind[5:]))
    return scores


TYPES = ["rouge1", "rouge2", "rougeL", "rougeLsum"]


def run(task, predictions, references):
    """Fresh scorers every time, as a new process would have them; sacrebleu's tokenizers cache by instance."""
    if task.startswith("rouge"):
        stem = stemmer() if task == "rouge-stemmer" else None
        rows = [rouge(t, p, TYPES, stem) for t, p in zip(references, predictions)]
        return [sum(row[kind][2] for row in rows) / len(rows) for kind in TYPES]
    from sacrebleu.metrics import BLEU, CHRF, TER

    metric = {"bleu": BLEU, "chrf++": lambda: CHRF(word_order=2), "ter": TER}[task]()
    return [metric.corpus_score(predictions, [references]).score]


def score(message):
    """Times the scoring alone, not the lines between the processes."""
    n = message["pairs"]
    start = time.perf_counter()
    scores = run(message["task"], DATA["predictions"][:n], DATA["references"][:n])
    return {"seconds": time.perf_counter() - start, "scores": scores}


if __name__ == "__main__":
    from worker import serve

    DATA = json.load(open(sys.argv[1]))
    serve({"score": score})
