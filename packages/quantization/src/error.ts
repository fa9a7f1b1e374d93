import { invalidOptions, parseOptions } from '@tunesmith/core'
import { z } from 'zod'
import type { QuantizedWeight } from './bitsandbytes'
import { quantMap4bit } from './codebooks'
import { checkFloatTensor, type FloatData, type FloatDtype, floatTensorFields } from './floats'
import { absmaxOf } from './four-bit/quantize'
import { ownMemory, type SharedMemory, toShared } from './four-bit/shared'
import { CHUNK, runHere, type Task } from './task'

/** What quantization lost of one weight. */
export interface QuantizationError {
  /** Norm of the difference over norm of the weight (Frobenius); 0 for a weight of zeros. */
  relative: number
  /** The largest absolute difference. */
  max: number
  /** The mean absolute difference. */
  mean: number
}

/** From `[chunks, 4]` sums in a fixed order, so that the result does not depend on the number of threads. */
export function addErrorSums(sums: Float64Array, count: number): QuantizationError {
  let [squaredErrors, squares, errors, max] = [0, 0, 0, 0]
  for (let i = 0; i < sums.length; i += 4) {
    squaredErrors += sums[i]!
    squares += sums[i + 1]!
    errors += sums[i + 2]!
    max = Math.max(max, sums[i + 3]!)
  }
  return { relative: squares === 0 ? 0 : Math.sqrt(squaredErrors / squares), max, mean: errors / count }
}

/**
 * Compares a weight with what became of it: checks the sizes and gets memory for the sums; for threads, shared memory.
 *
 * @param weight its dtype is float32 by default.
 */
export function prepareCompare(
  {
    data,
    dtype = 'float32',
    quantized,
  }: { data: FloatData; dtype?: FloatDtype | undefined; quantized: QuantizedWeight },
  memory: SharedMemory = ownMemory,
): Task<QuantizationError> {
  const count = quantized.shape.reduce((product, size) => product * size, 1)
  if (data.length !== count)
    throw invalidOptions(`the weight has ${data.length} elements, the quantized one ${count}`, {
      where: 'quantizationError',
      remedy: 'Pass the weight that was quantized',
    })
  const groups = quantized.kind === 'int8' ? quantized.shape[0] : Math.ceil(count / CHUNK)
  const sums = new Float64Array(memory.take('sums', 32 * groups), 0, 4 * groups)
  const common = { data: toShared(data, memory, 'data'), dtype, begin: 0, sums }
  const finish = () => addErrorSums(sums, count)
  if (quantized.kind === 'int8') {
    const [end, columns] = quantized.shape
    const codes = toShared(quantized.weight, memory, 'codes')
    const absmax = toShared(quantized.scb, memory, 'absmax')
    return { method: 'compareInt8Rows', range: { ...common, end, columns, codes, absmax }, unit: 1, finish }
  }
  const { blocksize, quantType } = quantized
  const packed = toShared(quantized.packed, memory, 'packed')
  const absmax = toShared(absmaxOf(quantized), memory, 'absmax')
  const range = { ...common, end: count, blocksize, map: quantMap4bit(quantType), packed, absmax }
  return { method: 'compareRange', range, unit: CHUNK, finish }
}

const options = z.strictObject({
  ...floatTensorFields,
  quantized: z.custom<QuantizedWeight>(
    (q) => ['4bit', 'int8'].includes((q as QuantizedWeight | undefined)?.kind ?? ''),
    'must be a quantized weight',
  ),
})

/**
 * Compares a weight with what quantization left of it (dequantized to float32).
 *
 * @throws {TunesmithError} `invalid_options`, also when the sizes differ.
 */
export function quantizationError(input: z.input<typeof options>): QuantizationError {
  const parsed = parseOptions(options, input, 'quantizationError')
  checkFloatTensor(parsed, 'quantizationError')
  return runHere(prepareCompare(parsed))
}
