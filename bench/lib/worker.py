"""The Python side of startWorker (children.mjs): one JSON line in, one JSON line out."""

import json
import sys
import time
import traceback


def serve(handlers):
    """Answer {"call": NAME, ...} with handlers[NAME](message), a dict; its time is added as "seconds" unless it has one."""
    answers = sys.stdout
    sys.stdout = sys.stderr
    for line in sys.stdin:
        message = json.loads(line)
        try:
            start = time.perf_counter()
            answer = handlers[message["call"]](message) or {}
            answer.setdefault("seconds", time.perf_counter() - start)
        except Exception:
            answer = {"error": traceback.format_exc()}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()
