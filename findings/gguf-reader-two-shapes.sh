#!/usr/bin/env bash
# A guess: a tensor's shape and the shape of its data are the same in gguf's reader.
# Seen: the shape is in the order of the file (columns first), the data in that of numpy, and for a quantized tensor in bytes.
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
writer = gguf.GGUFWriter("one.gguf", "llama")
weight = np.zeros((3, 64), dtype="float32")
writer.add_tensor("float", weight)
writer.add_tensor("quantized", gguf.quantize(weight, gguf.GGMLQuantizationType.Q4_0), raw_dtype=gguf.GGMLQuantizationType.Q4_0)
for step in (writer.write_header_to_file, writer.write_kv_data_to_file, writer.write_tensors_to_file, writer.close):
    step()
seen = {tensor.name: (tensor.shape.tolist(), tensor.data.shape) for tensor in gguf.GGUFReader("one.gguf").tensors}
print("gguf", version("gguf"), seen)
assert seen == {"float": ([64, 3], (3, 64)), "quantized": ([64, 3], (3, 36))}
P
venv/bin/python case.py
