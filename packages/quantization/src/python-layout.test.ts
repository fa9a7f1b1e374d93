import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { writeSafetensors } from '@tunesmith/hub'
import { pythonVenv } from '@tunesmith/tooling/python'
import { expect, test } from 'vitest'
import { toBitsandbytes } from './bitsandbytes'
import { numbers } from './fixtures/numbers'
import { fromFloat32, toFloat32 } from './floats'
import { dequantize4bit, quantize4bit } from './four-bit/quantize'
import { dequantizeInt8, quantizeInt8 } from './int8'

// bitsandbytes' published layout, read by nothing of ours: numpy and the safetensors library.
const READER = `
import json, sys
import numpy as np
from safetensors import safe_open

path, out = sys.argv[1:3]
with safe_open(path, framework="numpy") as file:
    tensors = {name: file.get_tensor(name) for name in file.keys()}
result = {}
for name, weight in tensors.items():
    if not name.endswith(".weight"):
        continue
    if name[: -len("weight")] + "SCB" in tensors:
        scb = tensors[name[: -len("weight")] + "SCB"]
        result[name] = weight.astype(np.float32) * scb[:, None] * np.float32(1 / 127)
        continue
    (state,) = [key for key in tensors if key.startswith(name + ".quant_state.bitsandbytes__")]
    info = json.loads(tensors[state].tobytes())
    absmax = tensors[name + ".absmax"]
    if name + ".nested_absmax" in tensors:
        nested = tensors[name + ".nested_quant_map"][absmax]
        scale = np.repeat(tensors[name + ".nested_absmax"], info["nested_blocksize"])[: absmax.size]
        absmax = nested * scale + np.float32(info["nested_offset"])
    assert weight.dtype == np.uint8 and weight.shape[1] == 1
    nibbles = np.stack([weight[:, 0] >> 4, weight[:, 0] & 15], 1).reshape(-1)
    size = int(np.prod(info["shape"]))
    values = tensors[name + ".quant_map"][nibbles[:size]] * np.repeat(absmax, info["blocksize"])[:size]
    result[name] = (values.astype(np.float16) if info["dtype"] == "float16" else values).reshape(info["shape"])
with open(out, "w") as file:
    json.dump({name: values.astype(np.float64).reshape(-1).tolist() for name, values in result.items()}, file)
`

test('what is quantized here is read by Python through the published layout, to the last bit', async (context) => {
  const { python, reason } = await pythonVenv('numpy', ['numpy', 'safetensors'])
  if (!python) return context.skip(reason)
  const folder = mkdtempSync(join(tmpdir(), 'tunesmith-quantization-'))
  try {
    const tensors: Record<string, ReturnType<typeof toBitsandbytes>[string]> = {}
    const expected: Record<string, Float32Array> = {}
    let seed = 1
    for (const quantType of ['nf4', 'fp4'] as const)
      for (const doubleQuant of [false, true])
        for (const dtype of ['float32', 'float16'] as const)
          for (const [rows, columns, blocksize] of [
            [33, 50, 64],
            [7, 13, 32],
            [130, 96, 128],
          ] as const) {
            const name = `${quantType}.${doubleQuant}.${dtype}.${rows}.weight`
            const data = fromFloat32(numbers(rows * columns, seed++, 0.05), dtype)
            const quantized = quantize4bit({ data, dtype, shape: [rows, columns], quantType, doubleQuant, blocksize })
            Object.assign(tensors, toBitsandbytes({ name, quantized }))
            expected[name] = toFloat32(dequantize4bit({ quantized }), dtype)
          }
    const int8 = quantizeInt8({ data: numbers(40 * 24, seed, 0.05), shape: [40, 24] })
    Object.assign(tensors, toBitsandbytes({ name: 'int8.weight', quantized: int8 }))
    expected['int8.weight'] = dequantizeInt8({ quantized: int8 })

    const [file, result] = [join(folder, 'model.safetensors'), join(folder, 'read.json')]
    await writeSafetensors(
      file,
      Object.entries(tensors).map(([name, tensor]) => ({ name, ...tensor })),
    )
    writeFileSync(join(folder, 'read.py'), READER)
    execFileSync(python, [join(folder, 'read.py'), file, result])
    const read = JSON.parse(readFileSync(result, 'utf8')) as Record<string, number[]>
    expect(Object.keys(read).sort()).toEqual(Object.keys(expected).sort())
    for (const [name, values] of Object.entries(expected))
      expect([name, Float32Array.from(read[name]!)]).toEqual([name, values])
  } finally {
    rmSync(folder, { recursive: true })
  }
}, 180_000)
