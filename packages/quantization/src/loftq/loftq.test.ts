import { expect, test } from 'vitest'
import { numbers } from '../fixtures/numbers'
import reference from '../fixtures/reference.json' with { type: 'json' }
import { dequantize4bit, quantize4bit } from '../four-bit/quantize'
import { loftqInit } from './loftq'
import { truncatedSvd } from './svd'

const relativeDistance = (a: ArrayLike<number>, b: ArrayLike<number>) => {
  let [lost, size] = [0, 0]
  for (let i = 0; i < a.length; i++) {
    lost += (a[i]! - b[i]!) ** 2
    size += a[i]! ** 2
  }
  return Math.sqrt(lost / size)
}

function reconstruct({ u, s, vt }: ReturnType<typeof truncatedSvd>, rows: number, columns: number): Float32Array {
  return Float32Array.from({ length: rows * columns }, (_, at) => {
    const [i, j] = [Math.floor(at / columns), at % columns]
    return s.reduce((sum, value, k) => sum + u[i * s.length + k]! * value * vt[k * columns + j]!, 0)
  })
}

test.each(reference.svd as [number, number, number[]][])('singular values of numpy: %i x %i', (rows, columns, s) => {
  const matrix = numbers(rows * columns, rows * 1000 + columns)
  const full = truncatedSvd({ matrix, rows, columns, rank: Math.min(rows, columns) })
  full.s.forEach((value, k) => {
    expect(Math.abs(value - s[k]!)).toBeLessThan(2e-6 * s[0]!)
  })
  expect(relativeDistance(matrix, reconstruct(full, rows, columns))).toBeLessThan(1e-6)
})

test('a randomized search comes within a thousandth of the best approximation, even of noise', () => {
  const [rows, columns, values] = reference.svd.at(-1) as [number, number, number[]]
  const matrix = numbers(rows * columns, rows * 1000 + columns)
  const svd = truncatedSvd({ matrix, rows, columns, rank: 16 })
  const size = values.reduce((sum, value) => sum + value * value, 0)
  const best = Math.sqrt(1 - values.slice(0, 16).reduce((sum, value) => sum + value * value, 0) / size)
  expect(relativeDistance(matrix, reconstruct(svd, rows, columns))).toBeLessThan(best * 1.001)
  expect(truncatedSvd({ matrix, rows, columns, rank: 16 })).toEqual(svd)
})

test('rank-deficient and zero matrices', () => {
  const [rows, columns] = [200, 250]
  const [a, b] = [numbers(rows, 1), numbers(columns, 2)]
  const matrix = Float32Array.from({ length: rows * columns }, (_, i) => a[Math.floor(i / columns)]! * b[i % columns]!)
  const svd = truncatedSvd({ matrix, rows, columns, rank: 4 })
  expect(relativeDistance(matrix, reconstruct(svd, rows, columns))).toBeLessThan(1e-6)
  expect(svd.s[1]! / svd.s[0]!).toBeLessThan(1e-7)
  const zero = truncatedSvd({ matrix: new Float32Array(12), rows: 3, columns: 4, rank: 2 })
  expect([...reconstruct(zero, 3, 4), ...zero.s].every((x) => x === 0)).toBe(true)
})

test('refuses NaN and impossible ranks', () => {
  const matrix = new Float32Array([1, Number.NaN])
  expect(() => truncatedSvd({ matrix, rows: 1, columns: 2, rank: 1 })).toThrow(/NaN/)
  expect(() => truncatedSvd({ matrix, rows: 1, columns: 2, rank: 2 })).toThrow(/rank 2/)
})

test('the adapter brings the quantized weight closer, more rounds bring it closer still', () => {
  const [rows, columns, rank] = [96, 64, 8]
  const data = numbers(rows * columns, 3, 0.05)
  const shape = [rows, columns]
  const once = loftqInit({ data, shape, rank, scaling: 2 })
  expect(once.quantized).toEqual(quantize4bit({ data, shape }))
  const restored = dequantize4bit({ quantized: quantize4bit({ data, shape }), dtype: 'float32' })
  const withAdapter = restored.map((value, at) => {
    const [i, j] = [Math.floor(at / columns), at % columns]
    let sum = 0
    for (let k = 0; k < rank; k++) sum += once.loraB[i * rank + k]! * once.loraA[k * columns + j]!
    return value + 2 * sum
  })
  expect(relativeDistance(data, restored)).toBeCloseTo(once.errorWithout, 6)
  expect(relativeDistance(data, withAdapter)).toBeCloseTo(once.errorWith, 6)
  expect(once.errorWith).toBeLessThan(once.errorWithout * 0.85)
  const five = loftqInit({ data, shape, rank, iterations: 5 })
  expect(five.errorWith).toBeLessThan(once.errorWith)
})

test('int8 and fp4 bases', () => {
  const data = numbers(48 * 32, 4)
  for (const quantType of ['int8', 'fp4'] as const) {
    const init = loftqInit({ data, shape: [48, 32], rank: 32, quantType })
    expect(init.errorWith).toBeLessThan(1e-6)
    expect(init.errorWithout).toBeGreaterThan(1e-3)
  }
})
