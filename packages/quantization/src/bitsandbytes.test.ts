import { expect, test } from 'vitest'
import { bitsandbytesParts, fromBitsandbytes, quantStateJson, type StoredTensor, toBitsandbytes } from './bitsandbytes'
import { numbers } from './fixtures/numbers'
import { dequantize4bit, quantize4bit } from './four-bit/quantize'
import { quantizeInt8 } from './int8'

const name = 'model.layers.0.mlp.up_proj.weight'
const data = numbers(7 * 130, 1, 0.02)
const shape = [7, 130]
const nested = toBitsandbytes({ name, quantized: quantize4bit({ data, shape, doubleQuant: true }) })
const int8 = toBitsandbytes({ name, quantized: quantizeInt8({ data, shape }) })

test('what goes out comes back', () => {
  for (const quantType of ['nf4', 'fp4'] as const)
    for (const doubleQuant of [false, true])
      for (const blocksize of [32, 64, 4096]) {
        const quantized = quantize4bit({ data, shape, quantType, doubleQuant, blocksize })
        expect(fromBitsandbytes({ name, tensors: toBitsandbytes({ name, quantized }) })).toEqual(quantized)
      }
  expect(fromBitsandbytes({ name, tensors: int8 })).toEqual(quantizeInt8({ data, shape }))
})

test('tensors cut from the middle of a file', () => {
  const odd = (tensor: StoredTensor): StoredTensor => {
    const memory = new Uint8Array(tensor.data.length + 1)
    memory.set(tensor.data, 1)
    return { ...tensor, data: memory.subarray(1) }
  }
  const tensors = Object.fromEntries(Object.entries(nested).map(([part, tensor]) => [part, odd(tensor)]))
  const loaded = fromBitsandbytes({ name, tensors })
  if (loaded.kind !== '4bit') throw new Error('not 4 bits')
  const expected = dequantize4bit({ quantized: quantize4bit({ data, shape, doubleQuant: true }) })
  expect(dequantize4bit({ quantized: loaded })).toEqual(expected)
})

test('the parts of a weight, by the names a checkpoint has', () => {
  const has = (tensors: object) => (part: string) => part in tensors
  expect(bitsandbytesParts(name, has(nested))!.sort()).toEqual(Object.keys(nested).sort())
  expect(bitsandbytesParts(name, has(int8))!.sort()).toEqual(Object.keys(int8).sort())
  expect(bitsandbytesParts(name, has({ [name]: 1 }))).toBeUndefined()
  expect(bitsandbytesParts('model.norm.weight', has(nested))).toBeUndefined()
})

test('parts that are missing or do not fit', () => {
  const without = (part: string) => {
    const { [part]: _, ...rest } = nested
    return () => fromBitsandbytes({ name, tensors: rest })
  }
  expect(without(`${name}.absmax`)).toThrow(/no tensor ".*absmax"/)
  expect(without(`${name}.nested_quant_map`)).toThrow(/no tensor ".*nested_quant_map"/)
  expect(without(`${name}.quant_state.bitsandbytes__nf4`)).toThrow(/no tensor ".*quant_state/)
  const changed = (part: string, change: Partial<StoredTensor>) => {
    const tensors = { ...nested, [part]: { ...nested[part]!, ...change } }
    return () => fromBitsandbytes({ name, tensors })
  }
  expect(changed(name, { data: new Uint8Array(3) })).toThrow(/3 packed bytes for a weight of shape \[7,130\]/)
  expect(changed(`${name}.absmax`, { data: new Uint8Array(3) })).toThrow(/3 scales for 15 blocks/)
  expect(changed(`${name}.nested_absmax`, { dtype: 'F16' })).toThrow(/F16, not F32/)
  expect(changed(`${name}.nested_absmax`, { data: new Uint8Array(8) })).toThrow(/nested scales/)
  expect(changed(`${name}.quant_map`, { data: new Uint8Array(64) })).toThrow(/quant_map is not that of nf4/)
  const state = new TextEncoder().encode('{"quant_type": "nf9"}')
  expect(changed(`${name}.quant_state.bitsandbytes__nf4`, { data: state })).toThrow(/quant_state JSON/)
  const format = { ...int8, 'model.layers.0.mlp.up_proj.weight_format': { ...int8[name]!, data: new Uint8Array([2]) } }
  expect(() => fromBitsandbytes({ name, tensors: format })).toThrow(/layout 2/)
})

test('storage dtypes rename the bytes, when they divide', () => {
  const quantized = quantize4bit({ data: data.subarray(0, 512), shape: [8, 64] })
  const stored = toBitsandbytes({ name, quantized, quantStorage: 'bfloat16' })[name]!
  expect([stored.dtype, stored.shape]).toEqual(['BF16', [128, 1]])
  const odd = quantize4bit({ data, shape })
  expect(() => toBitsandbytes({ name, quantized: odd, quantStorage: 'float32' })).toThrow(/455 packed bytes/)
})

test('the state is JSON as Python writes it', () => {
  const quantized = quantize4bit({ data, shape })
  expect(quantStateJson(quantized)).toBe(
    '{"quant_type": "nf4", "blocksize": 64, "dtype": "float32", "shape": [7, 130]}',
  )
})
