import { aligned, bf16ToF32, f16ToF32, f32ToBf16, f32ToF16, unsupported } from '@tunesmith/core'
import { quoted } from '../json-reader'
import type { SafetensorsDtype } from './dtype'
import type { TensorReader } from './file'

/** The floating point dtypes that can be computed with. */
export const FLOAT_TENSOR_DTYPES = ['F32', 'BF16', 'F16'] as const

/**
 * A tensor's bytes as float32; bfloat16 and float16 are widened exactly, float32 is a view of the bytes, float64 is rounded to nearest.
 *
 * @param name of the tensor, for the message.
 * @throws {TunesmithError} `unsupported` for a dtype of another kind of numbers.
 */
export function tensorValues(bytes: Uint8Array, dtype: SafetensorsDtype | string, name: string): Float32Array {
  if (dtype === 'BF16') return bf16ToF32(bytes)
  if (dtype === 'F16') return f16ToF32(bytes)
  if (dtype === 'F64') {
    const { buffer, byteOffset, byteLength } = aligned(bytes, 8)
    return Float32Array.from(new Float64Array(buffer, byteOffset, byteLength / 8))
  }
  if (dtype === 'F32') {
    const { buffer, byteOffset, byteLength } = aligned(bytes, 4)
    return new Float32Array(buffer, byteOffset, byteLength / 4)
  }
  throw unsupported(`The tensor ${quoted(name)} has the dtype ${dtype}, which cannot be computed with`, {
    where: name,
    remedy: `Convert it to one of ${FLOAT_TENSOR_DTYPES.join(', ')}, F64`,
  })
}

/** float32 values as the bytes of a tensor, rounded to nearest; float32 is a view of them. */
export function tensorBytes(values: Float32Array, dtype: (typeof FLOAT_TENSOR_DTYPES)[number]): Uint8Array {
  const typed = dtype === 'BF16' ? f32ToBf16(values) : dtype === 'F16' ? f32ToF16(values) : values
  return new Uint8Array(typed.buffer, typed.byteOffset, typed.byteLength)
}

/** Reads a floating point tensor as float32. */
export async function readFloats(reader: TensorReader, name: string): Promise<Float32Array> {
  const bytes = await reader.read(name)
  return tensorValues(bytes, reader.tensors.get(name)!.dtype, name)
}

/**
 * What keeps tensors from being the ones a model expects, by name: a line each for those that are missing, those nobody asked for and those
 * of another shape. Empty when all fit.
 */
export function tensorMismatches({
  expected,
  found,
  ignore = () => false,
}: {
  expected: ReadonlyMap<string, readonly number[]>
  found: ReadonlyMap<string, readonly number[]>
  /** True for a tensor that may be there although nobody expects it. */
  ignore?: (name: string) => boolean
}): string[] {
  const missing = [...expected.keys()].filter((name) => !found.has(name))
  const extra = [...found.keys()].filter((name) => !expected.has(name) && !ignore(name))
  const misshapen = [...expected].flatMap(([name, shape]) => {
    const other = found.get(name)
    return other && other.join() !== shape.join() ? [`${name} is [${other}] instead of [${shape}]`] : []
  })
  return [
    ...(missing.length ? [`missing: ${missing.join(', ')}`] : []),
    ...(extra.length ? [`not expected: ${extra.join(', ')}`] : []),
    ...(misshapen.length ? [`wrong shape: ${misshapen.join(', ')}`] : []),
  ]
}
