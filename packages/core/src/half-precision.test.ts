import { describe, expect, it } from 'vitest'
import { bf16ToF32, createConversions, f16ToF32, f32ToBf16, f32ToF16 } from './half-precision'
import { Random } from './random'

const all = Uint16Array.from({ length: 0x10000 }, (_, i) => i)

/** The value of a pattern, from the definition of the format. */
function decode(bits: number, exponentBits: number, fractionBits: number): number {
  const sign = bits & 0x8000 ? -1 : 1
  const exponent = (bits >> fractionBits) & ((1 << exponentBits) - 1)
  const fraction = bits & ((1 << fractionBits) - 1)
  const bias = (1 << (exponentBits - 1)) - 1
  if (exponent === (1 << exponentBits) - 1) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY
  if (exponent === 0) return sign * fraction * 2 ** (1 - bias - fractionBits)
  return sign * (1 + fraction / 2 ** fractionBits) * 2 ** (exponent - bias)
}

/** The pattern nearest to a magnitude by search, ties to the even one; past the last finite step by half: infinite. */
function nearest(value: number, table: readonly number[], lastFinite: number): number {
  let [low, high] = [0, lastFinite]
  while (low < high) {
    const middle = (low + high + 1) >> 1
    if (table[middle]! <= value) low = middle
    else high = middle - 1
  }
  const above = low === lastFinite ? 2 * table[lastFinite]! - table[lastFinite - 1]! : table[low + 1]!
  const [down, up] = [value - table[low]!, above - value]
  return up < down || (up === down && (low & 1) === 1) ? low + 1 : low
}

function samples(): Float32Array {
  const generator = new Random(7)
  const random = () => generator.uniform()
  const words = Uint32Array.from({ length: 200_000 }, () => Math.floor(random() * 2 ** 32))
  // Around every tie of float16 and bfloat16 as well.
  for (let i = 0; i < 60_000; i++) words[i] = ((words[i]! & 0xffff0000) | 0x8000) + (i % 3) - 1
  for (let i = 60_000; i < 120_000; i++) words[i] = ((words[i]! & 0xffffe000) | 0x1000) + (i % 3) - 1
  // Most of float16 lies in a few exponents.
  for (let i = 60_000; i < 150_000; i++) words[i] = (words[i]! & 0x807fffff) | ((100 + (i % 45)) << 23)
  return new Float32Array(words.buffer)
}

describe.each([
  { name: 'bfloat16', toF32: bf16ToF32, fromF32: f32ToBf16, exponentBits: 8, fractionBits: 7 },
  { name: 'float16', toF32: f16ToF32, fromF32: f32ToF16, exponentBits: 5, fractionBits: 10 },
])('$name', ({ toF32, fromF32, exponentBits, fractionBits }) => {
  it('decodes all 65,536 patterns and encodes them back', () => {
    const values = toF32(all)
    const back = fromF32(values)
    for (const bits of all) {
      const value = decode(bits, exponentBits, fractionBits)
      if (!Object.is(values[bits], value)) throw new Error(`${bits} gives ${values[bits]}, not ${value}`)
      if (Number.isNaN(value) ? !Number.isNaN(toF32(back.subarray(bits, bits + 1))[0]) : back[bits] !== bits)
        throw new Error(`${bits} comes back as ${back[bits]}`)
    }
  })

  it('rounds to the nearest, ties to even, keeps signs, infinities and NaN', () => {
    const table = Array.from({ length: 0x8000 }, (_, bits) => decode(bits, exponentBits, fractionBits))
    const infinite = table.indexOf(Number.POSITIVE_INFINITY)
    const values = samples()
    const rounded = fromF32(values)
    for (let i = 0; i < values.length; i++) {
      const value = values[i]!
      const magnitude = rounded[i]! & 0x7fff
      const expected = Number.isNaN(value)
        ? magnitude > infinite
        : magnitude ===
          (Math.abs(value) === Number.POSITIVE_INFINITY ? infinite : nearest(Math.abs(value), table, infinite - 1))
      if (!expected || (!Number.isNaN(value) && rounded[i]! >> 15 !== (value < 0 || Object.is(value, -0) ? 1 : 0)))
        throw new Error(`${value} rounds to ${rounded[i]}`)
    }
  })

  it('takes bytes at any place in memory, and refuses half a number', () => {
    const bytes = new Uint8Array(9)
    bytes.set(new Uint8Array(Uint16Array.of(0x3c00, 0xbf80).buffer), 1)
    expect([...toF32(bytes.subarray(1, 5))]).toEqual([...toF32(Uint16Array.of(0x3c00, 0xbf80))])
    expect([...fromF32(new Float32Array([0, 1]).subarray(1))]).toEqual([fractionBits === 7 ? 0x3f80 : 0x3c00])
    expect(() => toF32(bytes.subarray(0, 3))).toThrow('3 bytes')
    expect(toF32(new Uint8Array(0)).length).toBe(0)
  })
})

it('rounding in place is writing to float16 and reading back, with the signs of zeros and of what underflows', () => {
  const rounded = Float32Array.from([...samples(), 0, -0, 1e-9, -1e-9, 65520, -65520])
  const expected = f16ToF32(f32ToF16(rounded))
  createConversions().roundToFloat16(rounded, rounded.length)
  for (let i = 0; i < rounded.length; i++)
    if (!Object.is(rounded[i], expected[i])) throw new Error(`${expected[i]} comes out as ${rounded[i]}`)
})
