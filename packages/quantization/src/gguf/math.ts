import type { createConversions } from '../floats'

export type BlockMath = ReturnType<typeof createBlockMath>

/** A way to store weights: both work on one block, `x` or `out` from an element on, `bytes` from a byte on. */
export interface BlockCode {
  encode(x: Float32Array, from: number, bytes: Uint8Array, at: number): void
  decode(bytes: Uint8Array, at: number, out: Float32Array, to: number): void
}

/**
 * Arithmetic that all block types share. Codes equal ggml's to the bit, so every operation is rounded to float32 in ggml's order.
 *
 * Self-contained, as are all factories of this folder, because worker threads get them as source text.
 */
export function createBlockMath(conversions: ReturnType<typeof createConversions>) {
  const value = new Float32Array(1)
  const bits = new Int32Array(value.buffer)
  const half = new Uint16Array(1)
  const ROUND = 12582912

  return {
    /** To the nearest integer, ties to even; beyond 22 bits whatever ggml makes of it. */
    nearest(x: number): number {
      if (x > -4194304 && x < 4194304) return Math.fround(x + ROUND) - ROUND
      value[0] = x + ROUND
      return (bits[0]! & 0x007fffff) - 0x00400000
    },
    /** Writes a float16 and returns what it holds. */
    writeHalf(x: number, bytes: Uint8Array, at: number): number {
      value[0] = x
      conversions.float32ToFloat16(value, 1, half, 0)
      bytes[at] = half[0]! & 0xff
      bytes[at + 1] = half[0]! >> 8
      conversions.float16ToFloat32(half, 0, 1, value)
      return value[0]!
    },
    readHalf(bytes: Uint8Array, at: number): number {
      half[0] = bytes[at]! | (bytes[at + 1]! << 8)
      conversions.float16ToFloat32(half, 0, 1, value)
      return value[0]!
    },
    clamp: (x: number, low: number, high: number): number => Math.min(high, Math.max(low, x)),
  }
}
