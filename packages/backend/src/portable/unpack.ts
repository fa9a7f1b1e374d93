import type { WeightAttrs } from '../contract/attributes'
import type { WeightFormat } from '../contract/weight-format'

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

/** To the nearest bfloat16, ties to even. */
function toNearestBF16(values: Float32Array): void {
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length)
  for (let i = 0; i < values.length; i++)
    if (!Number.isNaN(values[i])) bits[i] = (bits[i]! + 0x7fff + ((bits[i]! >>> 16) & 1)) & 0xffff0000
}

/** To the nearest half, ties to even: the spacing of halves is a power of two, 2^-24 at the least. */
function toNearestF16(values: Float32Array): void {
  for (let i = 0; i < values.length; i++) {
    const x = values[i]!
    const magnitude = Math.abs(x)
    if (magnitude >= 65520) values[i] = x * Number.POSITIVE_INFINITY
    else if (magnitude > 0) {
      const spacing = 2 ** Math.max(-24, Math.floor(Math.log2(magnitude)) - 10)
      // Adding 3 * 2^51 leaves no room for a fraction in a double, which rounds to even.
      values[i] = (x / spacing + 2 ** 52 * 1.5 - 2 ** 52 * 1.5) * spacing
    }
  }
}

function unpackNibbles(
  { weight, absmax, code }: PackedArrays,
  first: number,
  out: Float32Array,
  { blockSize, roundTo }: WeightAttrs,
): void {
  const bytes = new Uint8Array(weight.buffer, weight.byteOffset, weight.length * 4)
  // The sixteen values of a block, scaled and rounded.
  const values = new Float32Array(16)
  for (let i = 0; i < out.length; ) {
    const block = Math.floor((first + i) / blockSize)
    const scale = absmax![block]!
    for (let v = 0; v < 16; v++) values[v] = code![v]! * scale
    if (roundTo === 'bf16') toNearestBF16(values)
    if (roundTo === 'f16') toNearestF16(values)
    for (const end = Math.min(out.length, (block + 1) * blockSize - first); i < end; i++) {
      const byte = bytes[(first + i) >> 1]!
      out[i] = values[(first + i) & 1 ? byte & 15 : byte >> 4]!
    }
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
