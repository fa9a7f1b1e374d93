import { createConversions } from '@tunesmith/core'
import type { WeightAttrs } from '../contract/attributes'
import type { WeightFormat } from '../contract/weight-format'

/** The tensors of a packed weight, read into host memory. */
export interface PackedArrays {
  weight: Int32Array
  absmax?: Float32Array
  code?: Float32Array
  scale?: Float32Array
}

const { bfloat16ToFloat32, float16ToFloat32, float32ToBfloat16, roundToFloat16 } = createConversions()

const halfwords = ({ buffer, byteOffset, length }: Int32Array) => new Uint16Array(buffer, byteOffset, length * 2)

type Unpack = (arrays: PackedArrays, first: number, out: Float32Array, attrs: WeightAttrs) => void

const unpackers: Record<Exclude<WeightFormat, 'f32'>, Unpack> = {
  bf16: ({ weight }, first, out) => bfloat16ToFloat32(halfwords(weight), first, out.length, out),
  f16: ({ weight }, first, out) => float16ToFloat32(halfwords(weight), first, out.length, out),
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
  { blockSize, roundTo }: WeightAttrs,
): void {
  const bytes = new Uint8Array(weight.buffer, weight.byteOffset, weight.length * 4)
  // The sixteen values of a block, scaled and rounded.
  const values = new Float32Array(16)
  const bits = new Uint16Array(16)
  for (let i = 0; i < out.length; ) {
    const block = Math.floor((first + i) / blockSize)
    const scale = absmax![block]!
    for (let v = 0; v < 16; v++) values[v] = code![v]! * scale
    if (roundTo === 'bf16') {
      float32ToBfloat16(values, 16, bits, 0)
      bfloat16ToFloat32(bits, 0, 16, values)
    }
    if (roundTo === 'f16') roundToFloat16(values, 16)
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
