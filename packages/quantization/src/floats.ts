import { TunesmithError } from '@tunesmith/core'
import { z } from 'zod'

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

/**
 * Conversions between float32 and the two 16-bit formats, rounding to nearest even as torch does.
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
          values[i] = u >>> 31 ? 0.5 - scratch[0]! : scratch[0]! - 0.5
        }
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
  }
}

const conversions = createConversions()

/** The values as float32; float32 input is returned as it is. */
export function toFloat32(data: FloatData, dtype: FloatDtype): Float32Array {
  if (data instanceof Float32Array) return data
  const out = new Float32Array(data.length)
  if (dtype === 'bfloat16') conversions.bfloat16ToFloat32(data, 0, data.length, out)
  else conversions.float16ToFloat32(data, 0, data.length, out)
  return out
}

/** Float32 values in another dtype, rounded to nearest even; float32 is returned as it is. */
export function fromFloat32(values: Float32Array, dtype: FloatDtype): FloatData {
  if (dtype === 'float32') return values
  const out = new Uint16Array(values.length)
  if (dtype === 'bfloat16') conversions.float32ToBfloat16(values, values.length, out, 0)
  else conversions.float32ToFloat16(values, values.length, out, 0)
  return out
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
    throw new TunesmithError(what, { code: 'invalid_options', where, remedy })
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
