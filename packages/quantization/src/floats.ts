import { invalidOptions } from '@tunesmith/core'
import { bf16ToF32, createConversions, f16ToF32, f32ToBf16, f32ToF16 } from '@tunesmith/hub'
import { z } from 'zod'

export { createConversions }

/** How the numbers of a dense weight are stored. */
export const floatDtype = z.enum(['float32', 'float16', 'bfloat16'])
export type FloatDtype = z.infer<typeof floatDtype>

/** The numbers themselves: values for `float32`, raw bits for `float16` and `bfloat16`. */
export type FloatData = Float32Array | Uint16Array

/** A dense weight, row-major. */
export interface FloatTensor {
  dtype: FloatDtype
  shape: readonly number[]
  data: FloatData
}

/** The values as float32; float32 input is returned as it is. */
export function toFloat32(data: FloatData, dtype: FloatDtype): Float32Array {
  if (data instanceof Float32Array) return data
  return dtype === 'bfloat16' ? bf16ToF32(data) : f16ToF32(data)
}

/** Float32 values in another dtype, rounded to nearest even; float32 is returned as it is. */
export function fromFloat32(values: Float32Array, dtype: FloatDtype): FloatData {
  if (dtype === 'float32') return values
  return dtype === 'bfloat16' ? f32ToBf16(values) : f32ToF16(values)
}

/** z.instanceof would refuse arrays in shared memory at the type level. */
export const float32Array = z.custom<Float32Array>((x) => x instanceof Float32Array, 'must be a Float32Array')
export const uint8Array = z.custom<Uint8Array>((x) => x instanceof Uint8Array, 'must be a Uint8Array')

/** zod fields shared by everything that takes a dense weight. */
export const floatTensorFields = {
  /** Values for float32, raw bits for the 16-bit dtypes. */
  data: z.custom<FloatData>((x) => x instanceof Float32Array || x instanceof Uint16Array, {
    message: 'must be a Float32Array, or a Uint16Array of bits',
  }),
  /** Default `float32`. */
  dtype: floatDtype.default('float32'),
  /** Row-major; default `[length]`. */
  shape: z.array(z.int().positive()).readonly().optional(),
}

/** Checks that data, dtype and shape fit, and returns the shape (`[length]` when none was given). */
export function checkFloatTensor(
  { data, dtype, shape }: { data: FloatData; dtype: FloatDtype; shape?: readonly number[] | undefined },
  where: string,
): readonly number[] {
  const fail = (what: string, remedy: string): never => {
    throw invalidOptions(what, { where, remedy })
  }
  if ((dtype === 'float32') !== data instanceof Float32Array)
    fail(
      `${dtype} data in a ${data.constructor.name}`,
      'Pass a Float32Array for float32, a Uint16Array of bits otherwise',
    )
  if (data.length === 0) fail('there is nothing to quantize', 'Pass at least one number')
  const count = shape?.reduce((product, size) => product * size, 1)
  if (count !== undefined && count !== data.length)
    fail(`shape [${shape}] has ${count} elements, data has ${data.length}`, 'Pass the shape of the data')
  return shape ?? [data.length]
}

/** As {@link checkFloatTensor}, of a weight `[out, in]`. */
export function checkFloatMatrix(
  tensor: Parameters<typeof checkFloatTensor>[0],
  where: string,
): readonly [rows: number, columns: number] {
  const [rows = 0, columns = 0, ...rest] = checkFloatTensor(tensor, where)
  if (columns > 0 && rest.length === 0) return [rows, columns]
  throw invalidOptions(`the weight has ${columns > 0 ? rest.length + 2 : 1} dimensions`, {
    where,
    remedy: 'Pass shape [out, in]',
  })
}

/** The flat index of the first NaN or infinity, or -1. */
export function findNonFinite({ data, dtype }: Pick<FloatTensor, 'data' | 'dtype'>): number {
  if (data instanceof Float32Array) {
    for (let i = 0; i < data.length; i++) if (!Number.isFinite(data[i]!)) return i
    return -1
  }
  const exponent = dtype === 'bfloat16' ? 0x7f80 : 0x7c00
  for (let i = 0; i < data.length; i++) if ((data[i]! & exponent) === exponent) return i
  return -1
}
