import type { BlockCode, BlockMath } from './math'

/**
 * Blocks of 32 with one scale: `q8_0` rounds to signed bytes; `q4_0` and `q5_0` put the element of largest magnitude at the far end of the codes;
 * `q4_1` and `q5_1` go from the least to the greatest element. The first 16 codes are in the low nibbles, a fifth bit stands apart.
 */
export function createSmallBlocks({
  writeHalf,
  readHalf,
}: BlockMath): Record<'q8_0' | 'q5_1' | 'q5_0' | 'q4_1' | 'q4_0', BlockCode> {
  const f = Math.fround
  const codes = new Uint8Array(32)

  /** Low four bits in nibbles from `at` on, and where there are five, the fifth ones in 32 bits from `high` on. */
  const pack = (bytes: Uint8Array, at: number, high: number) => {
    for (let i = 0; i < 16; i++) bytes[at + i] = (codes[i]! & 15) | ((codes[i + 16]! & 15) << 4)
    if (high < 0) return
    bytes.fill(0, high, high + 4)
    for (let i = 0; i < 32; i++) bytes[high + (i >> 3)]! |= (codes[i]! >> 4) << (i & 7)
  }
  const unpack = (bytes: Uint8Array, at: number, high: number) => {
    for (let i = 0; i < 32; i++) {
      const low = i < 16 ? bytes[at + i]! & 15 : bytes[at + i - 16]! >> 4
      codes[i] = high < 0 ? low : low | (((bytes[high + (i >> 3)]! >> (i & 7)) & 1) << 4)
    }
  }

  /** Codes around `zero`, which stands for 0. */
  const symmetric = (zero: number): BlockCode => {
    const high = zero === 16 ? 2 : -1
    return {
      encode(x, from, bytes, at) {
        let extreme = 0
        for (let i = from; i < from + 32; i++) if (Math.abs(x[i]!) > Math.abs(extreme)) extreme = x[i]!
        const scale = f(extreme / -zero)
        const inverse = scale === 0 ? 0 : f(1 / scale)
        for (let i = 0; i < 32; i++) {
          const code = (Math.trunc(f(f(x[from + i]! * inverse) + zero + 0.5)) << 24) >> 24
          codes[i] = Math.min(2 * zero - 1, code & 255)
        }
        writeHalf(scale, bytes, at)
        pack(bytes, at + (high < 0 ? 2 : 6), high < 0 ? -1 : at + high)
      },
      decode(bytes, at, out, to) {
        const scale = readHalf(bytes, at)
        unpack(bytes, at + (high < 0 ? 2 : 6), high < 0 ? -1 : at + high)
        for (let i = 0; i < 32; i++) out[to + i] = (codes[i]! - zero) * scale
      },
    }
  }

  /** Codes from 0, the least element, to `top`, the greatest. */
  const ranged = (top: number): BlockCode => {
    const high = top === 31 ? 4 : -1
    return {
      encode(x, from, bytes, at) {
        let least = x[from]!
        let greatest = least
        for (let i = from + 1; i < from + 32; i++) {
          if (x[i]! < least) least = x[i]!
          if (x[i]! > greatest) greatest = x[i]!
        }
        const scale = f(f(greatest - least) / top)
        const inverse = scale === 0 ? 0 : f(1 / scale)
        for (let i = 0; i < 32; i++) codes[i] = Math.min(top, Math.trunc(f(f(f(x[from + i]! - least) * inverse) + 0.5)))
        writeHalf(scale, bytes, at)
        writeHalf(least, bytes, at + 2)
        pack(bytes, at + (high < 0 ? 4 : 8), high < 0 ? -1 : at + high)
      },
      decode(bytes, at, out, to) {
        const scale = readHalf(bytes, at)
        const least = readHalf(bytes, at + 2)
        unpack(bytes, at + (high < 0 ? 4 : 8), high < 0 ? -1 : at + high)
        for (let i = 0; i < 32; i++) out[to + i] = f(codes[i]! * scale) + least
      },
    }
  }

  return {
    q8_0: {
      encode(x, from, bytes, at) {
        let largest = 0
        for (let i = from; i < from + 32; i++) largest = Math.max(largest, Math.abs(x[i]!))
        const scale = f(largest / 127)
        const inverse = scale === 0 ? 0 : f(1 / scale)
        for (let i = 0; i < 32; i++) {
          const scaled = f(x[from + i]! * inverse)
          // Half away from zero; the byte takes the two's complement.
          const magnitude = Math.floor(Math.abs(scaled) + 0.5)
          bytes[at + 2 + i] = scaled < 0 ? -magnitude : magnitude
        }
        writeHalf(scale, bytes, at)
      },
      decode(bytes, at, out, to) {
        const scale = readHalf(bytes, at)
        for (let i = 0; i < 32; i++) out[to + i] = ((bytes[at + 2 + i]! << 24) >> 24) * scale
      },
    },
    q5_1: ranged(31),
    q5_0: symmetric(16),
    q4_1: ranged(15),
    q4_0: symmetric(8),
  }
}
