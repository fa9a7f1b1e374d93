import { expect, test } from 'vitest'
import ggml from '../fixtures/ggml.json' with { type: 'json' }
import { numbers, sha } from '../fixtures/numbers'
import reference from '../fixtures/reference.json' with { type: 'json' }
import { createQuantizationPool } from '../pool'
import { dequantizeGguf, quantizeGguf } from './gguf'
import { GGUF_BLOCKS, GGUF_TYPES, type GgufType } from './types'

const plain = () => numbers(256 * 96, 5, 0.1)

/** The numbers of record-ggml.py. */
function cases(): Record<string, Float32Array> {
  const edges = plain()
  edges.fill(0, 0, 256)
  edges.fill(0.25, 256, 288)
  edges.fill(0, 288, 320)
  edges.fill(-1.5, 512, 768)
  edges.fill(1e-30, 768, 1024)
  edges.fill(0, 1024, 1040)
  edges[1280] = 50
  for (let i = 1536; i < 1792; i++) {
    // Half to even, as numpy rounds.
    const eighths = Math.fround(edges[i]! * 8) + 1.5 * 2 ** 52 - 1.5 * 2 ** 52
    edges[i] = eighths / 8
  }
  edges.fill(1e-9, 1792, 2048)
  const small = Math.fround(1e-7)
  const third = Math.fround(0.01)
  return {
    plain: plain(),
    small: plain().map((x) => x * small),
    great: plain().map((x) => x * 3e4),
    positive: plain().map((x) => Math.abs(x) + third),
    tailed: plain().map((x) => Math.fround(Math.fround(Math.fround(x * x) * x) * 40)),
    edges,
  }
}
const made = cases()

test.each(Object.keys(ggml.cases))('%s: the bytes that ggml writes, and the values that it reads', (name) => {
  const data = made[name]!
  const recorded = ggml.cases[name as keyof typeof ggml.cases]
  for (const type of GGUF_TYPES) {
    const blocks = quantizeGguf({ data, shape: [96, 256], type })
    expect([type, sha(blocks), sha(dequantizeGguf({ blocks, type }))]).toEqual([type, ...recorded[type]])
  }
})

test.each(reference.gguf as [GgufType, string, string][])('%s: the bytes of gguf-py', (type, encoded, decoded) => {
  const values = numbers(64 * 96, 5, 0.1)
  values.fill(0, 32, 64)
  values.fill(1e-9, 96, 128)
  const blocks = quantizeGguf({ data: values, shape: [96, 64], type })
  expect(sha(blocks)).toBe(encoded)
  expect(sha(dequantizeGguf({ blocks, type }))).toBe(decoded)
})

test('threads write the same bytes', async () => {
  const pool = createQuantizationPool({ threads: 2 })
  const data = numbers(256 * 4100, 9)
  const types = ['q4_k', 'q8_0', 'iq4_xs'] as const
  const optionsOf = (type: GgufType) => ({ data, shape: [4100, 256], type })
  // All are held until the last is done: none lies where the next is written.
  const results = await Promise.all(types.map((type) => pool.quantizeGguf(optionsOf(type))))
  for (const [i, type] of types.entries()) expect(sha(results[i]!)).toBe(sha(quantizeGguf(optionsOf(type))))
  await pool.close()
})

test('what a type loses is less the more bits it has', () => {
  const data = plain()
  const bits = (type: GgufType) => (8 * GGUF_BLOCKS[type].bytes) / GGUF_BLOCKS[type].size
  const error = (type: GgufType) => {
    const values = dequantizeGguf({ blocks: quantizeGguf({ data, type }), type })
    return Math.sqrt(values.reduce((sum, value, i) => sum + (value - data[i]!) ** 2, 0) / data.length)
  }
  const byBits = (['q2_k', 'q3_k', 'q4_k', 'q5_k', 'q6_k', 'q8_0'] as const).map((type) => [bits(type), error(type)])
  for (let i = 1; i < byBits.length; i++) {
    expect(byBits[i]![0]).toBeGreaterThan(byBits[i - 1]![0]!)
    expect(byBits[i]![1]).toBeLessThan(0.75 * byBits[i - 1]![1]!)
  }
})

test('partial blocks are refused', () => {
  expect(() => quantizeGguf({ data: numbers(80, 1), shape: [2, 40], type: 'q8_0' })).toThrow(/rows of 40/)
  expect(() => quantizeGguf({ data: numbers(512, 1), shape: [4, 128], type: 'q4_k' })).toThrow(/blocks of 256/)
  expect(() => dequantizeGguf({ blocks: new Uint8Array(35), type: 'q8_0' })).toThrow(/35 bytes/)
})
