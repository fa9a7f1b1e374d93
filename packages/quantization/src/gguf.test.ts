import { expect, test } from 'vitest'
import { numbers, sha } from './fixtures/numbers'
import reference from './fixtures/reference.json' with { type: 'json' }
import { dequantizeGguf, type GgufType, quantizeGguf } from './gguf'

const values = numbers(64 * 96, 5, 0.1)
values.fill(0, 32, 64)
values.fill(1e-9, 96, 128)

test.each(reference.gguf as [GgufType, string, string][])('%s: the bytes of gguf-py', (type, encoded, decoded) => {
  const blocks = quantizeGguf({ data: values, shape: [96, 64], type })
  expect(sha(blocks)).toBe(encoded)
  expect(sha(dequantizeGguf({ blocks, type }))).toBe(decoded)
})

test('error bounds', () => {
  const data = numbers(32 * 500, 6)
  for (const type of ['q8_0', 'q4_0'] as const) {
    const out = dequantizeGguf({ blocks: quantizeGguf({ data, type }), type })
    for (let block = 0; block < 500; block++) {
      const range = [block * 32, block * 32 + 32] as const
      const largest = data.slice(...range).reduce((worst, x) => Math.max(worst, Math.abs(x)), 0)
      const step = type === 'q8_0' ? largest / 127 : largest / 8
      // q4_0 has no code for the far end of the side without the extreme: a whole step there.
      const bound = step * (type === 'q8_0' ? 0.5 : 1) + largest * 2 ** -10
      for (let i = range[0]; i < range[1]; i++) expect(Math.abs(out[i]! - data[i]!)).toBeLessThanOrEqual(bound)
    }
  }
})

test('partial blocks are refused', () => {
  expect(() => quantizeGguf({ data: numbers(80, 1), shape: [2, 40], type: 'q8_0' })).toThrow(/rows of 40/)
  expect(() => dequantizeGguf({ blocks: new Uint8Array(35), type: 'q8_0' })).toThrow(/35 bytes/)
})
