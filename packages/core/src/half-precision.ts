/** Half-precision floats and their 32-bit kin: bfloat16 and IEEE float16, as raw 16-bit patterns. */

/** Sixteen-bit patterns, or their little-endian bytes. */
export type HalfBits = Uint16Array | Uint8Array

/**
 * Conversions between float32 and the two 16-bit formats over ranges of arrays, rounding to nearest even as torch does.
 *
 * Self-contained (it refers to nothing outside itself) because worker threads get it as source text.
 */
export function createConversions() {
  const scratch = new Float32Array(1)
  const scratchBits = new Uint32Array(scratch.buffer)
  let halfTable: Float32Array | undefined

  const buildHalfTable = () => {
    const table = new Float32Array(65536)
    const bits = new Uint32Array(table.buffer)
    for (let h = 0; h < 65536; h++) {
      const magnitude = h & 0x7fff
      if (magnitude < 0x400) table[h] = magnitude * 2 ** -24
      else bits[h] = (magnitude << 13) + (magnitude >= 0x7c00 ? 0x70000000 : 0x38000000)
      bits[h]! |= (h & 0x8000) << 16
    }
    return table
  }

  return {
    /** Writes `count` values of `source` from `from` on to `target[0..count)`. */
    float16ToFloat32(source: Uint16Array, from: number, count: number, target: Float32Array): void {
      halfTable ??= buildHalfTable()
      for (let i = 0; i < count; i++) target[i] = halfTable[source[from + i]!]!
    },
    bfloat16ToFloat32(source: Uint16Array, from: number, count: number, target: Float32Array): void {
      const bits = new Uint32Array(target.buffer, target.byteOffset, count)
      for (let i = 0; i < count; i++) bits[i] = source[from + i]! << 16
    },
    /** Writes the bits of `source[0..count)` to `target` from `from` on; NaN becomes 0x7fc0. */
    float32ToBfloat16(source: Float32Array, count: number, target: Uint16Array, from: number): void {
      const bits = new Uint32Array(source.buffer, source.byteOffset, count)
      for (let i = 0; i < count; i++) {
        const u = bits[i]!
        target[from + i] = (u & 0x7fffffff) > 0x7f800000 ? 0x7fc0 : (u + 0x7fff + ((u >>> 16) & 1)) >>> 16
      }
    },
    /** As above for IEEE half precision: values from 65520 on become infinity, NaN becomes 0x7e00. */
    float32ToFloat16(source: Float32Array, count: number, target: Uint16Array, from: number): void {
      const bits = new Uint32Array(source.buffer, source.byteOffset, count)
      for (let i = 0; i < count; i++) {
        const u = bits[i]!
        const magnitude = u & 0x7fffffff
        let half: number
        if (magnitude > 0x7f800000) half = 0x7e00
        else if (magnitude >= 0x477ff000) half = 0x7c00
        else if (magnitude < 0x38800000) {
          // Next to 0.5 a float32 counts in steps of 2^-24, the half format's smallest: the addition does the rounding.
          scratch[0] = Math.abs(source[i]!) + 0.5
          half = scratchBits[0]! - 0x3f000000
        } else half = (magnitude - 0x38000000 + 0xfff + ((magnitude >>> 13) & 1)) >>> 13
        target[from + i] = ((u >>> 16) & 0x8000) | half
      }
    },
    /** Rounds `values[0..count)` to what float16 can hold, in place. */
    roundToFloat16(values: Float32Array, count: number): void {
      const bits = new Uint32Array(values.buffer, values.byteOffset, count)
      for (let i = 0; i < count; i++) {
        const u = bits[i]!
        const magnitude = u & 0x7fffffff
        if (magnitude >= 0x38800000) {
          // Thirteen bits of the fraction go, ties to even; from 65520 on it is infinite, and NaN stays NaN.
          if (magnitude < 0x477ff000) bits[i] = (u + 0xfff + ((u >>> 13) & 1)) & ~0x1fff
          else if (magnitude <= 0x7f800000) bits[i] = (u & 0x80000000) | 0x7f800000
        } else {
          scratch[0] = Math.abs(values[i]!) + 0.5
          const rounded = scratch[0]! - 0.5
          values[i] = u >>> 31 ? -rounded : rounded
        }
      }
    },
  }
}

const conversions = createConversions()

/** A typed array needs its own alignment; bytes cut from the middle of a file may not have it. */
export function aligned(bytes: Uint8Array, size: number): Uint8Array {
  return bytes.byteOffset % size === 0 ? bytes : bytes.slice()
}

function widen(bits: HalfBits, convert: (typeof conversions)['float16ToFloat32']): Float32Array {
  if (bits.byteLength % 2 !== 0) throw new RangeError(`${bits.byteLength} bytes are not whole 16-bit numbers`)
  const { buffer, byteOffset, byteLength } = bits instanceof Uint16Array ? bits : aligned(bits, 2)
  const values = new Float32Array(byteLength / 2)
  convert(new Uint16Array(buffer, byteOffset, byteLength / 2), 0, values.length, values)
  return values
}

/** bfloat16 to float32, exact. */
export function bf16ToF32(bits: HalfBits): Float32Array {
  return widen(bits, conversions.bfloat16ToFloat32)
}

/** float16 to float32, exact. */
export function f16ToF32(bits: HalfBits): Float32Array {
  return widen(bits, conversions.float16ToFloat32)
}

/** float32 to bfloat16, to the nearest, ties to even; what is too large becomes infinite, and NaN stays NaN. */
export function f32ToBf16(values: Float32Array): Uint16Array {
  const bits = new Uint16Array(values.length)
  conversions.float32ToBfloat16(values, values.length, bits, 0)
  return bits
}

/** float32 to float16, to the nearest, ties to even; past 65504 (65520 and up) it is infinite, and NaN stays NaN. */
export function f32ToF16(values: Float32Array): Uint16Array {
  const bits = new Uint16Array(values.length)
  conversions.float32ToFloat16(values, values.length, bits, 0)
  return bits
}
