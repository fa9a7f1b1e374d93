import type { WeightAttrs, WeightFormat } from '../weights'

/** The tensors of a packed weight, read into host memory. */
export interface PackedArrays {
  weight: Int32Array
  absmax?: Float32Array
  code?: Float32Array
  scale?: Float32Array
}

function halfToFloat(half: number): number {
  const sign = half & 0x8000 ? -1 : 1
  const exponent = (half >>> 10) & 0x1f
  const fraction = half & 0x3ff
  if (exponent === 0) return sign * fraction * 2 ** -24
  if (exponent === 31) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15)
}

let halfTable: Float32Array | undefined

/** All 65,536 half-precision values. */
function halves(): Float32Array {
  if (!halfTable) {
    halfTable = new Float32Array(65536)
    for (let i = 0; i < 65536; i++) halfTable[i] = halfToFloat(i)
  }
  return halfTable
}

type Unpack = (arrays: PackedArrays, first: number, out: Float32Array, attrs: WeightAttrs) => void

const unpackers: Record<Exclude<WeightFormat, 'f32'>, Unpack> = {
  bf16({ weight }, first, out) {
    const halfwords = new Uint16Array(weight.buffer, weight.byteOffset, weight.length * 2)
    const bits = new Uint32Array(out.buffer, out.byteOffset, out.length)
    for (let i = 0; i < out.length; i++) bits[i] = halfwords[first + i]! << 16
  },
  f16({ weight }, first, out) {
    const halfwords = new Uint16Array(weight.buffer, weight.byteOffset, weight.length * 2)
    const table = halves()
    for (let i = 0; i < out.length; i++) out[i] = table[halfwords[first + i]!]!
  },
  int8({ weight, scale }, first, out, { inFeatures }) {
    const bytes = new Int8Array(weight.buffer, weight.byteOffset, weight.length * 4)
    for (let i = 0; i < out.length; i++) out[i] = bytes[first + i]! * scale![Math.floor((first + i) / inFeatures)]!
  },
  nf4: unpackNibbles,
  fp4: unpackNibbles,
}

function unpackNibbles(
  { weight, absmax, code }: PackedArrays,
  first: number,
  out: Float32Array,
  { blockSize }: WeightAttrs,
): void {
  const bytes = new Uint8Array(weight.buffer, weight.byteOffset, weight.length * 4)
  for (let i = 0; i < out.length; i++) {
    const element = first + i
    const byte = bytes[element >> 1]!
    out[i] = code![element & 1 ? byte & 15 : byte >> 4]! * absmax![Math.floor(element / blockSize)]!
  }
}

/**
 * Rows `[rowStart, rowEnd)` of a packed weight as float32, row-major.
 *
 * The layouts are bitsandbytes' (4-bit: even element in the high nibble, blocks over the flattened matrix).
 */
export function unpackRows(arrays: PackedArrays, rowStart: number, rowEnd: number, attrs: WeightAttrs): Float32Array {
  const out = new Float32Array((rowEnd - rowStart) * attrs.inFeatures)
  unpackers[attrs.format as Exclude<WeightFormat, 'f32'>](arrays, rowStart * attrs.inFeatures, out, attrs)
  return out
}
