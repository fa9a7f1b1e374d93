/** Half-precision floats and their 32-bit kin: bfloat16 and IEEE float16, as raw 16-bit patterns. */

/** Sixteen-bit patterns, or their little-endian bytes. */
export type HalfBits = Uint16Array | Uint8Array

function patterns(bits: HalfBits): Uint16Array {
  if (bits instanceof Uint16Array) return bits
  if (bits.byteLength % 2 !== 0) throw new RangeError(`${bits.byteLength} bytes are not whole 16-bit numbers`)
  // A typed array needs its own alignment; bytes cut from the middle of a file may not have it.
  const aligned = bits.byteOffset % 2 === 0 ? bits : bits.slice()
  return new Uint16Array(aligned.buffer, aligned.byteOffset, aligned.byteLength / 2)
}

function words(values: Float32Array): Uint32Array {
  return new Uint32Array(values.buffer, values.byteOffset, values.length)
}

/** bfloat16 to float32, exact. */
export function bf16ToF32(bits: HalfBits): Float32Array {
  const source = patterns(bits)
  const target = new Uint32Array(source.length)
  for (let i = 0; i < source.length; i++) target[i] = source[i]! << 16
  return new Float32Array(target.buffer)
}

/** float32 to bfloat16, to the nearest, ties to even; what is too large becomes infinite, and NaN stays NaN. */
export function f32ToBf16(values: Float32Array): Uint16Array {
  const source = words(values)
  const target = new Uint16Array(source.length)
  for (let i = 0; i < source.length; i++) {
    const word = source[i]!
    target[i] = (word & 0x7fffffff) > 0x7f800000 ? (word >>> 16) | 0x40 : (word + 0x7fff + ((word >>> 16) & 1)) >>> 16
  }
  return target
}

/** One float32 pattern for each float16 pattern; 256 KB, made on first use. */
let float16Table: Uint32Array | undefined

function makeFloat16Table(): Uint32Array {
  const table = new Uint32Array(0x10000)
  const value = new Float32Array(1)
  for (let half = 0; half < 0x10000; half++) {
    const sign = (half & 0x8000) << 16
    const exponent = (half >>> 10) & 0x1f
    const fraction = half & 0x3ff
    if (exponent === 0) {
      value[0] = fraction * 2 ** -24
      table[half] = words(value)[0]! | sign
    } else table[half] = sign | ((exponent === 31 ? 0xff : exponent + 112) << 23) | (fraction << 13)
  }
  return table
}

/** float16 to float32, exact. */
export function f16ToF32(bits: HalfBits): Float32Array {
  float16Table ??= makeFloat16Table()
  const table = float16Table
  const source = patterns(bits)
  const target = new Uint32Array(source.length)
  for (let i = 0; i < source.length; i++) target[i] = table[source[i]!]!
  return new Float32Array(target.buffer)
}

/** float32 to float16, to the nearest, ties to even; past 65504 (65520 and up) it is infinite, and NaN stays NaN. */
export function f32ToF16(values: Float32Array): Uint16Array {
  const source = words(values)
  const target = new Uint16Array(source.length)
  for (let i = 0; i < source.length; i++) {
    const word = source[i]!
    const sign = (word >>> 16) & 0x8000
    const magnitude = word & 0x7fffffff
    if (magnitude >= 0x47800000)
      // 65536 and up: infinite, or NaN with as much of its payload as fits
      target[i] = sign | (magnitude > 0x7f800000 ? 0x7e00 | ((magnitude >>> 13) & 0x3ff) : 0x7c00)
    else if (magnitude >= 0x38800000)
      // a normal float16; a carry out of the fraction rounds the exponent up, to infinity at the end
      target[i] = sign | ((magnitude - 0x38000000 + 0xfff + ((magnitude >>> 13) & 1)) >>> 13)
    else if (magnitude <= 0x33000000)
      // 2^-25 and less rounds to zero, the tie to even included
      target[i] = sign
    else {
      // subnormal: the fraction with its hidden bit, shifted to units of 2^-24
      const shift = 126 - (magnitude >>> 23)
      const fraction = (magnitude & 0x7fffff) | 0x800000
      const half = fraction >>> shift
      const rest = fraction & ((1 << shift) - 1)
      const tie = 1 << (shift - 1)
      target[i] = sign | (half + (rest > tie || (rest === tie && (half & 1) === 1) ? 1 : 0))
    }
  }
  return target
}
