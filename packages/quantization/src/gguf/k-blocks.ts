import type { BlockCode, BlockMath } from './math'
import type { ScaleSearch } from './scale-search'

/**
 * ggml's K-quants: super-blocks of 256 elements, cut into parts of 16 or 32 with a scale each, which are themselves quantized. `q2_k`, `q4_k` and
 * `q5_k` have a minimum per part too, `q3_k` and `q6_k` are symmetric.
 */
export function createKBlocks(
  { nearest, clamp, writeHalf, readHalf }: BlockMath,
  search: ScaleSearch,
): Record<'q6_k' | 'q5_k' | 'q4_k' | 'q3_k' | 'q2_k', BlockCode> {
  const f = Math.fround
  const x = new Float32Array(256)
  const codes = new Uint8Array(256)
  const scales = new Float32Array(16)
  const mins = new Float32Array(16)
  const weights = new Float32Array(256)
  const found = { codes, scales, mins }
  const load = (source: Float32Array, from: number) => {
    for (let i = 0; i < 256; i++) x[i] = source[from + i]!
  }
  const largest = (values: Float32Array, n: number): number => {
    let most = 0
    for (let i = 0; i < n; i++) if (values[i]! > most) most = values[i]!
    return most
  }
  const farthest = (values: Float32Array, n: number): number => {
    let most = 0
    for (let i = 0; i < n; i++) if (Math.abs(values[i]!) > Math.abs(most)) most = values[i]!
    return most
  }
  /** Codes anew for the scale and minimum as they are stored; a part whose scale became 0 keeps those of the search. */
  const recode = (from: number, n: number, scale: number, shift: number, low: number, high: number) => {
    if (scale === 0) return
    for (let i = from; i < from + n; i++) codes[i] = clamp(nearest(f(f(x[i]! + shift) / scale)), low, high) - low
  }

  /** Two bits of each code, four codes to a byte that lie 32 apart. */
  const packPairs = (bytes: Uint8Array, at: number) => {
    for (let i = 0; i < 64; i++) {
      const from = (i >> 5) * 128 + (i & 31)
      bytes[at + i] =
        (codes[from]! & 3) |
        ((codes[from + 32]! & 3) << 2) |
        ((codes[from + 64]! & 3) << 4) |
        ((codes[from + 96]! & 3) << 6)
    }
  }
  /** Where `packPairs` puts the code of an element: its byte and its shift. */
  const pairOf = (bytes: Uint8Array, at: number, i: number) =>
    (bytes[at + (i >> 7) * 32 + (i & 31)]! >> (2 * ((i >> 5) & 3))) & 3

  const q2Tries = { top: 3, first: f(-0.5), by: f(0.1), steps: 15, absolute: true }
  const q2: BlockCode = {
    encode(source, from, bytes, at) {
      load(source, from)
      for (let i = 0; i < 256; i++) weights[i] = Math.abs(x[i]!)
      for (let from = 0; from < 256; from += 64) search.withMinimum(x, weights, from, 16, q2Tries, found)
      const top = largest(scales, 16)
      const deep = largest(mins, 16)
      const inverse = top > 0 ? f(15 / top) : 0
      const inverseMin = deep > 0 ? f(15 / deep) : 0
      const scale = writeHalf(f(top / 15), bytes, at + 80)
      const min = writeHalf(f(deep / 15), bytes, at + 82)
      for (let part = 0; part < 16; part++) {
        const s = nearest(f(inverse * scales[part]!))
        const m = nearest(f(inverseMin * mins[part]!))
        bytes[at + part] = s | (m << 4)
        const stored = bytes[at + part]!
        recode(16 * part, 16, f(scale * (stored & 15)), f(min * (stored >> 4)), 0, 3)
      }
      packPairs(bytes, at + 16)
    },
    decode(bytes, at, out, to) {
      const scale = readHalf(bytes, at + 80)
      const min = readHalf(bytes, at + 82)
      for (let i = 0; i < 256; i++) {
        const stored = bytes[at + (i >> 4)]!
        out[to + i] = f(f(scale * (stored & 15)) * pairOf(bytes, at + 16, i)) - f(min * (stored >> 4))
      }
    },
  }

  /** The scale of a part in the 12 bytes that hold sixteen of 6 bits. */
  const scaleOfQ3 = (bytes: Uint8Array, at: number, part: number) => {
    const low = part < 8 ? bytes[at + part]! & 15 : bytes[at + part - 8]! >> 4
    return (low | (((bytes[at + 8 + (part & 3)]! >> (2 * (part >> 2))) & 3) << 4)) - 32
  }
  const q3: BlockCode = {
    encode(source, from, bytes, at) {
      load(source, from)
      for (let part = 0; part < 16; part++) scales[part] = search.refined(x, 16 * part, 16, 4, codes)
      const top = farthest(scales, 16)
      const inverse = top === 0 ? 0 : f(-32 / top)
      bytes.fill(0, at, at + 110)
      for (let part = 0; top !== 0 && part < 16; part++) {
        const code = clamp((nearest(f(inverse * scales[part]!)) << 24) >> 24, -32, 31) + 32
        bytes[at + 96 + (part & 7)]! |= (code & 15) << (part < 8 ? 0 : 4)
        bytes[at + 104 + (part & 3)]! |= (code >> 4) << (2 * (part >> 2))
      }
      const scale = writeHalf(top === 0 ? 0 : f(1 / inverse), bytes, at + 108)
      for (let part = 0; part < 16; part++) recode(16 * part, 16, f(scale * scaleOfQ3(bytes, at + 96, part)), 0, -4, 3)
      for (let i = 0; i < 256; i++) bytes[at + (i & 31)]! |= (codes[i]! >> 2) << (i >> 5)
      packPairs(bytes, at + 32)
    },
    decode(bytes, at, out, to) {
      const scale = readHalf(bytes, at + 108)
      for (let i = 0; i < 256; i++) {
        const high = (bytes[at + (i & 31)]! >> (i >> 5)) & 1
        const code = pairOf(bytes, at + 32, i) - (high ? 0 : 4)
        out[to + i] = f(scale * scaleOfQ3(bytes, at + 96, i >> 4)) * code
      }
    },
  }

  /** Scale and minimum of a part in the 12 bytes that hold eight pairs of 6 bits. */
  const scaleOf = (bytes: Uint8Array, at: number, part: number) =>
    part < 4 ? bytes[at + part]! & 63 : (bytes[at + part + 4]! & 15) | ((bytes[at + part - 4]! >> 6) << 4)
  const minOf = (bytes: Uint8Array, at: number, part: number) =>
    part < 4 ? bytes[at + part + 4]! & 63 : (bytes[at + part + 4]! >> 4) | ((bytes[at + part]! >> 6) << 4)
  const packScales = (bytes: Uint8Array, at: number, part: number, scale: number, min: number) => {
    if (part < 4) {
      bytes[at + part] = scale
      bytes[at + part + 4] = min
    } else {
      bytes[at + part + 4] = (scale & 15) | ((min & 15) << 4)
      bytes[at + part - 4]! |= (scale >> 4) << 6
      bytes[at + part]! |= (min >> 4) << 6
    }
  }
  /** `q4_k` and `q5_k` differ in the range of codes, in the scales that are tried, and in the fifth bits, which stand before the nibbles. */
  const withMinimums = (top: 15 | 31): BlockCode => {
    const nibbles = top === 31 ? 48 : 16
    const tries = { top, first: f(top === 31 ? -0.5 : -1), by: f(0.1), steps: top === 31 ? 15 : 20, absolute: false }
    return {
      encode(source, from, bytes, at) {
        load(source, from)
        for (let part = 0; part < 8; part++) {
          let squares = 0
          for (let i = 0; i < 32; i++) squares = f(squares + f(x[32 * part + i]! * x[32 * part + i]!))
          const mean = f(Math.sqrt(f(squares / 32)))
          for (let i = 32 * part; i < 32 * part + 32; i++) weights[i] = mean + Math.abs(x[i]!)
        }
        for (let from = 0; from < 256; from += 128) search.withMinimum(x, weights, from, 32, tries, found)
        const most = largest(scales, 8)
        const deep = largest(mins, 8)
        const inverse = most > 0 ? f(63 / most) : 0
        const inverseMin = deep > 0 ? f(63 / deep) : 0
        for (let part = 0; part < 8; part++) {
          const s = Math.min(63, nearest(f(inverse * scales[part]!)) & 255)
          const m = Math.min(63, nearest(f(inverseMin * mins[part]!)) & 255)
          packScales(bytes, at + 4, part, s, m)
        }
        const scale = writeHalf(f(most / 63), bytes, at)
        const min = writeHalf(f(deep / 63), bytes, at + 2)
        for (let part = 0; part < 8; part++)
          recode(32 * part, 32, f(scale * scaleOf(bytes, at + 4, part)), f(min * minOf(bytes, at + 4, part)), 0, top)
        if (top === 31) bytes.fill(0, at + 16, at + 48)
        for (let i = 0; i < 128; i++) {
          const first = (i >> 5) * 64 + (i & 31)
          bytes[at + nibbles + i] = (codes[first]! & 15) | ((codes[first + 32]! & 15) << 4)
          if (top === 31)
            bytes[at + 16 + (i & 31)]! |= ((codes[first]! >> 4) | ((codes[first + 32]! >> 4) << 1)) << (2 * (i >> 5))
        }
      },
      decode(bytes, at, out, to) {
        const scale = readHalf(bytes, at)
        const min = readHalf(bytes, at + 2)
        for (let i = 0; i < 256; i++) {
          const part = i >> 5
          const nibble = (bytes[at + nibbles + (i >> 6) * 32 + (i & 31)]! >> (4 * (part & 1))) & 15
          const high = top === 31 ? ((bytes[at + 16 + (i & 31)]! >> part) & 1) << 4 : 0
          out[to + i] =
            f(f(scale * scaleOf(bytes, at + 4, part)) * (nibble | high)) - f(min * minOf(bytes, at + 4, part))
        }
      },
    }
  }

  const q6: BlockCode = {
    encode(source, from, bytes, at) {
      load(source, from)
      for (let from = 0; from < 256; from += 64) search.symmetric(x, from, 16, 32, codes, scales)
      const top = farthest(scales, 16)
      bytes.fill(0, at, at + 210)
      if (Math.abs(top) < f(1e-15)) return
      const inverse = f(-128 / top)
      const scale = writeHalf(f(1 / inverse), bytes, at + 208)
      for (let part = 0; part < 16; part++) {
        bytes[at + 192 + part] = Math.min(127, nearest(f(inverse * scales[part]!)))
        recode(16 * part, 16, f(scale * ((bytes[at + 192 + part]! << 24) >> 24)), 0, -32, 31)
      }
      for (let i = 0; i < 64; i++) {
        const first = (i >> 5) * 128 + (i & 31)
        const low = at + (i >> 5) * 64 + (i & 31)
        bytes[low] = (codes[first]! & 15) | ((codes[first + 64]! & 15) << 4)
        bytes[low + 32] = (codes[first + 32]! & 15) | ((codes[first + 96]! & 15) << 4)
        bytes[at + 128 + i] =
          (codes[first]! >> 4) |
          ((codes[first + 32]! >> 4) << 2) |
          ((codes[first + 64]! >> 4) << 4) |
          ((codes[first + 96]! >> 4) << 6)
      }
    },
    decode(bytes, at, out, to) {
      const scale = readHalf(bytes, at + 208)
      for (let i = 0; i < 256; i++) {
        const quarter = (i >> 5) & 3
        const low = bytes[at + (i >> 7) * 64 + (quarter & 1) * 32 + (i & 31)]! >> (quarter < 2 ? 0 : 4)
        const high = (bytes[at + 128 + (i >> 7) * 32 + (i & 31)]! >> (2 * quarter)) & 3
        const part = f(scale * ((bytes[at + 192 + (i >> 4)]! << 24) >> 24))
        out[to + i] = part * (((low & 15) | (high << 4)) - 32)
      }
    },
  }

  return { q6_k: q6, q5_k: withMinimums(31), q4_k: withMinimums(15), q3_k: q3, q2_k: q2 }
}
