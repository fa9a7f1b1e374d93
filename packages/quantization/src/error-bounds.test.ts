import { Random } from '@tunesmith/core'
import { expect, test } from 'vitest'
import { dequantizeBlockwise, quantizeBlockwise } from './blockwise8bit'
import { DYNAMIC_MAP_SIGNED, DYNAMIC_MAP_UNSIGNED } from './codebooks'
import { dequantizeInt8, quantizeInt8 } from './int8'

// NF4 and FP4 have theirs beside them in four-bit/, q8_0 and q4_0 in gguf.test.ts.

const normals = (count: number, seed: number) => {
  const random = new Random(seed)
  return Float32Array.from({ length: count }, () => random.normal() * 0.02)
}
const relativeError = (data: Float32Array, out: Float32Array) =>
  Math.hypot(...data.map((x, i) => x - out[i]!)) / Math.hypot(...data)

test('int8: half a step of the row at most, under 1% on normal data', () => {
  for (const columns of [1, 7, 256, 1000]) {
    const data = normals(32 * columns, columns)
    const quantized = quantizeInt8({ data, shape: [32, columns] })
    const out = dequantizeInt8({ quantized })
    data.forEach((x, i) => {
      const scale = quantized.scb[Math.floor(i / columns)]!
      // The weight is rounded to float16 first.
      expect(Math.abs(out[i]! - x)).toBeLessThanOrEqual((0.5 * scale) / 127 + Math.abs(x) * 2 ** -11 + 1e-9)
    })
    expect(relativeError(data, out)).toBeLessThan(0.01)
    expect(quantizeInt8({ data: out, shape: [32, columns] }).weight).toEqual(quantized.weight)
  }
})

test('dynamic 8 bits: half the gap to the neighbour at most, under 2% on normal data', () => {
  for (const map of [DYNAMIC_MAP_SIGNED, DYNAMIC_MAP_UNSIGNED]) {
    const signed = map === DYNAMIC_MAP_SIGNED
    const data = normals(256 * 40, 3).map((x) => (signed ? x : x * x))
    const quantized = quantizeBlockwise({ values: data, map })
    const out = dequantizeBlockwise({ ...quantized, map })
    data.forEach((x, i) => {
      const code = quantized.codes[i]!
      const gap = Math.max(map[code]! - (map[code - 1] ?? map[code]!), (map[code + 1] ?? map[code]!) - map[code]!)
      expect(Math.abs(out[i]! - x)).toBeLessThanOrEqual(quantized.absmax[i >> 8]! * (gap / 2 + 1e-6))
    })
    expect(relativeError(data, out)).toBeLessThan(0.02)
    // What comes out goes in again unchanged: a code's value is nearest to itself.
    expect(quantizeBlockwise({ values: out, map }).codes).toEqual(quantized.codes)
  }
})

test('int8: zeros, denormals, infinities and NaN', () => {
  const rows = [
    [0, -0, 0, 0],
    [1e-42, -3e-42, 0, 1e-45],
    [1, Number.POSITIVE_INFINITY, -2, 0],
    [1, Number.NaN, -2, 0],
    [1, -2, 0.5, 0],
  ]
  const quantized = quantizeInt8({ data: Float32Array.from(rows.flat()), shape: [5, 4] })
  const out = dequantizeInt8({ quantized })
  const row = (i: number) => Array.from(out.subarray(4 * i, 4 * i + 4), (x) => x + 0)
  expect(row(0)).toEqual([0, 0, 0, 0])
  for (const x of row(1)) expect(Math.abs(x)).toBeLessThan(1e-7) // under half of float16's smallest number
  for (const i of [2, 3]) expect(row(i).some((x) => !Number.isFinite(x))).toBe(true)
  row(4).forEach((x, i) => {
    expect(Math.abs(x - rows[4]![i]!)).toBeLessThanOrEqual(1 / 127)
  })
})
