"""The Python side of safetensors.mjs; with a path as its argument it only loads that file, to have its memory measured."""

import os
import sys

import numpy as np
from safetensors.numpy import load_file, save_file

tensors = {}


def prepare(message):
    for i in range(message["count"]):
        tensors[f"layers.{i}.weight"] = np.full(message["shape"], i + 0.5, dtype=np.float32)


def save(message):
    # Like ours: beside the target first, then moved into place.
    save_file(tensors, message["path"] + ".part")
    os.replace(message["path"] + ".part", message["path"])


def load(message):
    load_file(message["path"])


if __name__ == "__main__":
    if len(sys.argv) > 1:
        load({"path": sys.argv[1]})
    else:
        from worker import serve

        serve({"prepare": prepare, "save": save, "load": load})
