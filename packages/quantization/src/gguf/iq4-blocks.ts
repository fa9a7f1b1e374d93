import type { BlockCode, BlockMath } from './math'

/**
 * ggml's non-linear four bits: codes stand for 16 values that lie closer near 0. `iq4_nl` has a scale for each 32 elements, `iq4_xs` a super-block of
 * 256 with eight scales of 6 bits.
 */
export function createIq4Blocks({
  nearest,
  clamp,
  writeHalf,
  readHalf,
}: BlockMath): Record<'iq4_nl' | 'iq4_xs', BlockCode> {
  const f = Math.fround
  const VALUES = [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113]
  const TRIES = 7
  const codes = new Uint8Array(256)
  const scales = new Float32Array(8)

  /** The nearest of the values; of two that are equally near the greater one. */
  const code = (x: number): number => {
    let index = 0
    const twice = x + x
    for (let step = 8; step > 0; step >>= 1)
      if (twice >= VALUES[index + step - 1]! + VALUES[index + step]!) index += step
    return index
  }

  /** The scale for 32 elements that loses least, weighted by their squares. */
  const scaleOf = (x: Float32Array, from: number): number => {
    let extreme = 0
    for (let i = from; i < from + 32; i++) if (Math.abs(x[i]!) > Math.abs(extreme)) extreme = x[i]!
    if (Math.abs(extreme) < f(1e-15)) return 0
    let scale = 0
    let best = 0
    for (let step = -TRIES - 1; step <= TRIES; step++) {
      const plain = step === -TRIES - 1
      const inverse = plain ? f(1 / f(extreme / -VALUES[0]!)) : f((step + VALUES[0]!) / extreme)
      let sumXQ = 0
      let sumQ2 = 0
      for (let i = from; i < from + 32; i++) {
        const value = x[i]!
        const q = VALUES[code(f(inverse * value))]!
        const weighted = f(f(value * value) * q)
        sumXQ = f(sumXQ + f(weighted * value))
        sumQ2 = f(sumQ2 + f(weighted * q))
      }
      if (plain || (sumQ2 > 0 && f(sumXQ * sumXQ) > f(best * sumQ2))) {
        scale = sumQ2 > 0 ? f(sumXQ / sumQ2) : 0
        best = f(scale * sumXQ)
      }
    }
    return scale
  }
  const recode = (x: Float32Array, from: number, part: number, scale: number) => {
    const inverse = scale === 0 ? 0 : f(1 / scale)
    for (let i = 0; i < 32; i++) codes[32 * part + i] = code(f(inverse * x[from + 32 * part + i]!))
  }
  const pack = (bytes: Uint8Array, at: number, part: number) => {
    for (let i = 0; i < 16; i++) bytes[at + 16 * part + i] = codes[32 * part + i]! | (codes[32 * part + 16 + i]! << 4)
  }
  const unpack = (bytes: Uint8Array, at: number, part: number, scale: number, out: Float32Array, to: number) => {
    for (let i = 0; i < 32; i++) {
      const byte = bytes[at + 16 * part + (i & 15)]!
      out[to + 32 * part + i] = scale * VALUES[i < 16 ? byte & 15 : byte >> 4]!
    }
  }

  return {
    iq4_nl: {
      encode(x, from, bytes, at) {
        const scale = scaleOf(x, from)
        writeHalf(scale, bytes, at)
        recode(x, from, 0, scale)
        pack(bytes, at + 2, 0)
      },
      decode(bytes, at, out, to) {
        unpack(bytes, at + 2, 0, readHalf(bytes, at), out, to)
      },
    },
    iq4_xs: {
      encode(x, from, bytes, at) {
        let most = 0
        for (let part = 0; part < 8; part++) {
          scales[part] = scaleOf(x, from + 32 * part)
          if (Math.abs(scales[part]!) > Math.abs(most)) most = scales[part]!
        }
        const scale = f(-most / 32)
        const inverse = scale === 0 ? 0 : f(1 / scale)
        bytes.fill(0, at + 2, at + 8)
        writeHalf(scale, bytes, at)
        for (let part = 0; part < 8; part++) {
          const s = clamp(nearest(f(inverse * scales[part]!)), -32, 31)
          recode(x, from, part, f(scale * s))
          bytes[at + 2 + (part >> 2)]! |= ((s + 32) >> 4) << (2 * (part & 3))
          bytes[at + 4 + (part >> 1)]! |= ((s + 32) & 15) << (4 * (part & 1))
          pack(bytes, at + 8, part)
        }
      },
      decode(bytes, at, out, to) {
        const scale = readHalf(bytes, at)
        for (let part = 0; part < 8; part++) {
          const high = (bytes[at + 2 + (part >> 2)]! >> (2 * (part & 3))) & 3
          const low = (bytes[at + 4 + (part >> 1)]! >> (4 * (part & 1))) & 15
          unpack(bytes, at + 8, part, f(scale * ((low | (high << 4)) - 32)), out, to)
        }
      },
    },
  }
}
