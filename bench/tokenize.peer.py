"""The Python side of the `tokenize` bench: Rust `tokenizers` on all cores. Its ids are not made into lists in the timing."""

import hashlib
import json
import sys
import time

from tokenizers import Tokenizer
from worker import serve

tokenizer = Tokenizer.from_file(sys.argv[1])
with open(sys.argv[2]) as file:
    texts = json.load(file)


def check(_):
    digest, tokens = hashlib.sha256(), 0
    for encoding in tokenizer.encode_batch(texts):
        digest.update((" ".join(map(str, encoding.ids)) + "\n").encode())
        tokens += len(encoding.ids)
    return {"digest": digest.hexdigest(), "tokens": tokens}


def encode(_):
    start = time.perf_counter()
    tokenizer.encode_batch(texts)
    return {"seconds": time.perf_counter() - start}


serve({"check": check, "encode": encode})
