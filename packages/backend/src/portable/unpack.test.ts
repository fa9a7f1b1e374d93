import { expect, it } from 'vitest'
import type { RoundTo, WeightFormat } from '../index'
import { unpackRows } from './unpack'

const attrs = (format: WeightFormat, outFeatures: number, roundTo: RoundTo = 'none') => ({
  format,
  outFeatures,
  inFeatures: 16,
  blockSize: 16,
  roundTo,
})

/** Every finite value of a 16-bit format that is not negative, ascending; the bits are the index. */
function valuesOf(format: 'bf16' | 'f16'): Float32Array {
  const bits = Uint16Array.from({ length: format === 'f16' ? 0x7c00 : 0x7f80 }, (_, i) => i)
  return unpackRows({ weight: new Int32Array(bits.buffer) }, 0, bits.length / 16, attrs(format, bits.length / 16))
}

for (const format of ['bf16', 'f16'] as const)
  it(`rounds 4-bit values to the nearest ${format}, ties to even`, () => {
    const values = valuesOf(format)
    const round = (x: number[]) => {
      const weight = new Int32Array(2)
      new Uint8Array(weight.buffer).set([0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef])
      const arrays = { weight, absmax: Float32Array.of(1), code: Float32Array.from(x) }
      return unpackRows(arrays, 0, 1, attrs('nf4', 1, format))
    }
    for (let i = 0; i + 4 < values.length; i += 97) {
      const at = values.subarray(i, i + 4)
      const between = (a: number, b: number, share: number) => Math.fround(a + (b - a) * share)
      const given: number[] = []
      const want: number[] = []
      const expectRounded = (x: number, y: number) => {
        given.push(x)
        want.push(y)
      }
      for (let n = 0; n < 3; n++) {
        const [low, high] = [at[n]!, at[n + 1]!]
        const even = (i + n) % 2 === 0 ? low : high
        expectRounded(low, low)
        expectRounded(-between(low, high, 0.5), -even)
        // A float32 a little off the middle exists only where the format is not as fine as float32 itself.
        if (high - low > 2 ** -140) expectRounded(between(low, high, 0.499), low)
        if (high - low > 2 ** -140) expectRounded(between(low, high, 0.501), high)
      }
      while (given.length < 16) expectRounded(0, 0)
      round(given).forEach((value, n) => {
        expect(Math.abs(value - want[n]!), `${given[n]} gave ${value} instead of ${want[n]}`).toBe(0)
      })
    }
    const largest = values.at(-1)!
    const beyond = [Number.POSITIVE_INFINITY, -largest, 3.4e38, Number.NaN, ...new Array(12).fill(1)]
    expect([...round(beyond).subarray(0, 4)]).toEqual([
      Number.POSITIVE_INFINITY,
      -largest,
      Number.POSITIVE_INFINITY,
      Number.NaN,
    ])
  })
