import { describe, expect, test } from 'vitest'
import { FP4_MAP, NF4_MAP } from '../codebooks'
import { numbers, sha, specials } from '../fixtures/numbers'
import reference from '../fixtures/reference.json' with { type: 'json' }
import { findNonFinite, fromFloat32, toFloat32 } from '../floats'
import { absmaxOf, dequantize4bit, quantize4bit } from './quantize'

type QuantType = 'nf4' | 'fp4'

test.each(reference.fourBit as [number, number, QuantType, string, string][])(
  '%i elements, blocks of %i, %s: the bytes of torch',
  (count, blocksize, quantType, packed, absmax) => {
    const quantized = quantize4bit({ data: numbers(count, count), quantType, blocksize })
    expect([sha(quantized.packed), sha(absmaxOf(quantized))]).toEqual([packed, absmax])
  },
)

test.each(reference.special as [QuantType, string, string[]][])(
  '%s: zeros, denormals, infinities and NaN as torch has them',
  (quantType, hex, scales) => {
    const quantized = quantize4bit({ data: specials(1001, 7), quantType })
    expect(Buffer.from(quantized.packed).toString('hex')).toBe(hex)
    const named: Record<string, number> = { nan: Number.NaN, inf: Number.POSITIVE_INFINITY }
    expect([...absmaxOf(quantized)]).toEqual(scales.map((text) => named[text] ?? Number(text)))
  },
)

test('what a block with a special value dequantizes to', () => {
  const data = specials(1001, 7)
  const out = dequantize4bit({ quantized: quantize4bit({ data }), dtype: 'float32' })
  const block = (i: number) => [...out.subarray(i * 64, (i + 1) * 64)]
  expect(block(1).every((x) => x === 0)).toBe(true)
  expect(block(2).every((x, i) => Math.abs(x - data[128 + i]!) < 1e-38)).toBe(true)
  expect(block(3).every((x) => !Number.isFinite(x))).toBe(true)
  expect(block(6).every(Number.isNaN)).toBe(true)
  expect(block(5).every(Number.isFinite)).toBe(true)
  expect(findNonFinite({ data, dtype: 'float32' })).toBe(200)
  expect(findNonFinite({ data: fromFloat32(data, 'bfloat16'), dtype: 'bfloat16' })).toBe(200)
  expect(findNonFinite({ data: numbers(10, 1), dtype: 'float32' })).toBe(-1)
})

describe.each(['nf4', 'fp4'] as const)('%s', (quantType) => {
  const map = quantType === 'nf4' ? NF4_MAP : FP4_MAP
  const values = [...map].sort((a, b) => a - b)
  const widest = values.slice(1).reduce((gap, value, i) => Math.max(gap, value - values[i]!), 0)

  test('every element is off by at most half the widest gap times its block scale', () => {
    for (const blocksize of [32, 64, 128, 256, 512, 1024, 2048, 4096]) {
      const data = numbers(9001, blocksize, 0.02)
      const quantized = quantize4bit({ data, quantType, blocksize })
      const out = dequantize4bit({ quantized, dtype: 'float32' })
      const absmax = absmaxOf(quantized)
      const bound = (i: number) => (widest / 2) * absmax[Math.floor(i / blocksize)]! * (1 + 1e-5)
      expect(out.every((x, i) => Math.abs(x - data[i]!) <= bound(i))).toBe(true)
    }
  })

  test('quantizing what was dequantized changes nothing', () => {
    for (const dtype of ['float32', 'bfloat16', 'float16'] as const) {
      const data = fromFloat32(numbers(4096, 3), dtype)
      const once = dequantize4bit({ quantized: quantize4bit({ data, dtype, quantType }) })
      const twice = dequantize4bit({ quantized: quantize4bit({ data: once, dtype, quantType }) })
      expect(sha(twice)).toBe(sha(once))
    }
  })

  test('scaling the weight by a power of two scales the result', () => {
    const data = numbers(999, 4)
    const plain = quantize4bit({ data, quantType })
    const scaled = quantize4bit({ data: data.map((x) => x * 1024), quantType })
    expect(scaled.packed).toEqual(plain.packed)
    expect(absmaxOf(scaled)).toEqual(absmaxOf(plain).map((x) => x * 1024))
  })

  test('relative error on normal data', () => {
    const data = numbers(1 << 18, 9, 0.02)
    const error = (out: Float32Array) => {
      let [lost, size] = [0, 0]
      data.forEach((x, i) => {
        lost += (x - out[i]!) ** 2
        size += x * x
      })
      return Math.sqrt(lost / size)
    }
    const single = error(dequantize4bit({ quantized: quantize4bit({ data, quantType }), dtype: 'float32' }))
    const double = error(
      dequantize4bit({ quantized: quantize4bit({ data, quantType, doubleQuant: true }), dtype: 'float32' }),
    )
    expect(single).toBeLessThan(quantType === 'nf4' ? 0.1 : 0.13)
    expect(single).toBeGreaterThan(0.05)
    expect(double).toBeLessThan(single * 1.02)
  })
})

test('16-bit inputs are quantized as their float32 values are, and dequantize to their own dtype', () => {
  const values = numbers(70001, 5)
  for (const dtype of ['bfloat16', 'float16'] as const) {
    const data = fromFloat32(values, dtype)
    const quantized = quantize4bit({ data, dtype })
    const same = quantize4bit({ data: toFloat32(data, dtype) })
    expect(sha(quantized.packed)).toBe(sha(same.packed))
    const out = dequantize4bit({ quantized })
    expect(out).toBeInstanceOf(Uint16Array)
    expect(sha(out)).toBe(sha(fromFloat32(dequantize4bit({ quantized: same, dtype: 'float32' }), dtype)))
  }
})

test('wrong options', () => {
  const data = numbers(64, 1)
  const quantize = (options: object) => () => quantize4bit({ data, ...options } as Parameters<typeof quantize4bit>[0])
  expect(quantize({ blocksize: 100 })).toThrow(/must be one of 32, 64/)
  expect(quantize({ blockSize: 64 })).toThrow(/did you mean "blocksize"/)
  expect(quantize({ shape: [8, 9] })).toThrow(/shape \[8,9\] has 72 elements, data has 64/)
  expect(quantize({ dtype: 'bfloat16' })).toThrow(/bfloat16 data in a Float32Array/)
  expect(quantize({ data: new Float32Array() })).toThrow(/nothing to quantize/)
})
