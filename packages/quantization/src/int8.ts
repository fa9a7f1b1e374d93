import { invalidOptions, parseOptions } from '@tunesmith/core'
import { z } from 'zod'
import { checkFloatMatrix, float32Array, floatTensorFields, fromFloat32, toFloat32 } from './floats'
import { ownMemory, type SharedMemory, toShared, unshared } from './four-bit/shared'
import { runHere, type Task } from './task'

/** A weight in 8 bits with one scale per row (LLM.int8), as bitsandbytes lays it out. */
export interface QuantizedInt8 {
  kind: 'int8'
  /** `[out, in]`. */
  shape: readonly [number, number]
  /** `[out * in]`, row-major. */
  weight: Int8Array
  /** `[out]`: the largest magnitude of each row; an element is `weight * scb / 127`. */
  scb: Float32Array
}

const quantizeOptions = z.strictObject(floatTensorFields)

export type QuantizeInt8Options = z.input<typeof quantizeOptions>

/** 1/127 as bitsandbytes writes it. */
const INVERSE_127 = Math.fround(7.874015718698502e-3)
/** 1/127 squared as bitsandbytes writes it. */
const INVERSE_127_SQUARED = Math.fround(6.200124e-5)

/**
 * Quantizes each row of `[out, in]` to int8 by its own largest magnitude (`round half even of w * (127 * (1 / max))`).
 *
 * The weight is rounded to float16 first, as bitsandbytes does. A row of zeros gives zeros; in a row with a NaN or an
 * infinity (also one that float16 cannot hold, from 65520 on) every code is zero and the scale is not finite.
 *
 * @throws {TunesmithError} `invalid_options`
 * @see Dettmers et al., "LLM.int8(): 8-bit Matrix Multiplication for Transformers at Scale", 2022
 */
export function quantizeInt8(options: QuantizeInt8Options): QuantizedInt8 {
  return runHere(prepareQuantizeInt8(options))
}

/** Checks the options and gets memory for the results; for threads, shared memory. */
export function prepareQuantizeInt8(
  options: QuantizeInt8Options,
  memory: SharedMemory = ownMemory,
): Task<QuantizedInt8> {
  const where = 'quantizeInt8'
  const parsed = parseOptions(quantizeOptions, options, where)
  const [rows, columns] = checkFloatMatrix(parsed, where)
  const data = toShared(parsed.data, memory, 'data')
  const codes = new Int8Array(memory.take('codes', rows * columns), 0, rows * columns)
  const absmax = new Float32Array(memory.take('absmax', 4 * rows), 0, rows)
  const range = { data, dtype: parsed.dtype, begin: 0, end: rows, columns, codes, absmax }
  const finish = (): QuantizedInt8 => ({
    kind: 'int8',
    shape: [rows, columns],
    weight: unshared(codes),
    scb: unshared(absmax),
  })
  return { method: 'quantizeInt8Rows', range, unit: 1, finish }
}

/** The weight's values in float32: `weight * scb / 127`, in that order, row-major. */
export function dequantizeInt8({ quantized }: { quantized: QuantizedInt8 }): Float32Array {
  const { weight, scb, shape } = quantized
  const out = new Float32Array(weight.length)
  for (let row = 0, i = 0; row < scb.length; row++) {
    const scale = scb[row]!
    for (const end = i + shape[1]; i < end; i++) out[i] = Math.fround(weight[i]! * scale) * INVERSE_127
  }
  return out
}

const linearOptions = z.strictObject({
  /** Inputs `[tokens, in]`, float16 precision is assumed. */
  x: float32Array,
  weight: z.custom<QuantizedInt8>((q) => (q as QuantizedInt8 | undefined)?.kind === 'int8', 'must be an int8 weight'),
  /** `[out]`. */
  bias: float32Array.optional(),
  /** Inputs of at least this magnitude go through a float product; 0 turns that off. Default 6. */
  threshold: z.number().nonnegative().default(6),
})

/**
 * `x W^T + bias` as LLM.int8 computes it: the reference for fast kernels, `[tokens, out]`.
 *
 * Inputs are quantized per row; entries of at least `threshold` are left out of the row's scale, and every column that
 * holds one is taken out of the integer product and added with the dequantized (float16) weight columns instead.
 *
 * @throws {TunesmithError} `invalid_options`
 */
export function int8Linear(options: z.input<typeof linearOptions>): Float32Array {
  const { x, weight: quantized, bias, threshold } = parseOptions(linearOptions, options, 'int8Linear')
  const [outputs, inputs] = quantized.shape
  const tokens = x.length / inputs
  if (!Number.isInteger(tokens))
    throw invalidOptions(`x has ${x.length} elements, the weight takes ${inputs} per token`, {
      where: 'int8Linear',
      remedy: 'Pass x as [tokens, in]',
    })
  const isOutlier = (value: number) => threshold > 0 && Math.abs(value) >= threshold
  const outliers = Array.from({ length: inputs }, (_, i) => i).filter((i) => {
    for (let token = 0; token < tokens; token++) if (isOutlier(x[token * inputs + i]!)) return true
    return false
  })
  const { weight: codes, scb: absmax } = quantizeInt8({
    data: x.map((value) => (isOutlier(value) ? 0 : value)),
    shape: [tokens, inputs],
  })
  for (let token = 0; token < tokens; token++) for (const i of outliers) codes[token * inputs + i] = 0

  const rounded = fromFloat32(dequantizeInt8({ quantized }), 'float16')
  const columns = toFloat32(rounded, 'float16')
  const out = new Float32Array(tokens * outputs)
  for (let token = 0; token < tokens; token++)
    for (let o = 0; o < outputs; o++) {
      let product = 0
      for (let i = 0; i < inputs; i++) product += codes[token * inputs + i]! * quantized.weight[o * inputs + i]!
      let sum = product * Math.fround(absmax[token]! * quantized.scb[o]!) * INVERSE_127_SQUARED + (bias?.[o] ?? 0)
      for (const i of outliers) sum += x[token * inputs + i]! * columns[o * inputs + i]!
      out[token * outputs + o] = sum
    }
  return out
}
