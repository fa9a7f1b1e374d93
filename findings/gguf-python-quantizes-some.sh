#!/usr/bin/env bash
# A guess: what the gguf package dequantizes it can quantize as well.
# Seen: K-quants are read only: quantize raises NotImplementedError without a text; the ternary formats work both ways.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/pip install -q gguf==0.19.0 numpy==2.4.6 2>/dev/null
cat >case.py <<'P'
from importlib.metadata import version
import gguf
import numpy as np
weight = np.linspace(-1, 1, 512, dtype="float32").reshape(2, 256)
def ways(name):
    kind = getattr(gguf.GGMLQuantizationType, name)
    size = 2 * gguf.GGML_QUANT_SIZES[kind][1] * 256 // gguf.GGML_QUANT_SIZES[kind][0]
    done = []
    for way, work in (("dequantize", lambda: gguf.dequantize(np.zeros((2, size // 2), dtype="uint8"), kind)), ("quantize", lambda: gguf.quantize(weight, kind))):
        try:
            work()
            done.append(way)
        except NotImplementedError as error:
            assert str(error) == ""
    return done
seen = {name: ways(name) for name in ("Q4_0", "Q8_0", "Q4_K", "Q6_K", "TQ1_0")}
print("gguf", version("gguf"), seen)
both = ["dequantize", "quantize"]
assert seen == {"Q4_0": both, "Q8_0": both, "Q4_K": both[:1], "Q6_K": both[:1], "TQ1_0": both}
P
venv/bin/python case.py
