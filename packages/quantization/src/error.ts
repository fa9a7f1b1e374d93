import { parseOptions, TunesmithError } from '@tunesmith/core'
import { z } from 'zod'
import { quantMap4bit } from './codebooks'
import { checkFloatTensor, createConversions, type FloatData, type FloatDtype, floatTensorFields } from './floats'
import { localKernels } from './four-bit/instance'
import type { CompareRange } from './four-bit/kernels'
import { absmaxOf, type Quantized4bit } from './four-bit/quantize'
import { ownMemory, type SharedMemory, toShared } from './four-bit/shared'
import type { QuantizedInt8 } from './int8'
import { createInt8Kernels, type Int8CompareRange } from './int8-kernels'

/** What quantization lost of one weight. */
export interface QuantizationError {
  /** Norm of the difference over norm of the weight (Frobenius); 0 for a weight of zeros. */
  relative: number
  /** The largest absolute difference. */
  max: number
  /** The mean absolute difference. */
  mean: number
}

const CHUNK = 65536

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

export interface Compare4bitOptions {
  /** The weight before quantization, with its dtype (default float32). */
  data: FloatData
  dtype?: FloatDtype
  quantized: Quantized4bit
}

/** Checks the sizes and gets memory for the sums; for threads, shared memory. */
export function prepareCompare4bit(
  { data, dtype = 'float32', quantized }: Compare4bitOptions,
  memory: SharedMemory = ownMemory,
) {
  const { shape, packed, blocksize, quantType } = quantized
  const count = shape.reduce((product, size) => product * size, 1)
  if (data.length !== count) throw sizesDiffer(data.length, count)
  const length = 4 * Math.ceil(count / CHUNK)
  const sums = new Float64Array(memory.take('sums', 8 * length), 0, length)
  const range: CompareRange = {
    data: toShared(data, memory, 'data'),
    packed: toShared(packed, memory, 'packed'),
    absmax: toShared(absmaxOf(quantized), memory, 'absmax'),
    dtype,
    begin: 0,
    end: count,
    blocksize,
    map: quantMap4bit(quantType),
    sums,
  }
  return { range, finish: () => addErrorSums(sums, count) }
}

export interface CompareInt8Options extends Omit<Compare4bitOptions, 'quantized'> {
  quantized: QuantizedInt8
}

/** As {@link prepareCompare4bit}. */
export function prepareCompareInt8(
  { data, dtype = 'float32', quantized }: CompareInt8Options,
  memory: SharedMemory = ownMemory,
) {
  const [rows, columns] = quantized.shape
  if (data.length !== rows * columns) throw sizesDiffer(data.length, rows * columns)
  const sums = new Float64Array(memory.take('sums', 32 * rows), 0, 4 * rows)
  const range: Int8CompareRange = {
    data: toShared(data, memory, 'data'),
    codes: toShared(quantized.weight, memory, 'codes'),
    absmax: toShared(quantized.scb, memory, 'absmax'),
    dtype,
    begin: 0,
    end: rows,
    columns,
    sums,
  }
  return { range, finish: () => addErrorSums(sums, rows * columns) }
}

function sizesDiffer(given: number, expected: number): TunesmithError {
  return new TunesmithError(`the weight has ${given} elements, the quantized one ${expected}`, {
    code: 'invalid_options',
    where: 'quantizationError',
    remedy: 'Pass the weight that was quantized',
  })
}

const options = z.strictObject({
  ...floatTensorFields,
  quantized: z.custom<Quantized4bit | QuantizedInt8>(
    (q) => ['4bit', 'int8'].includes((q as Quantized4bit | undefined)?.kind ?? ''),
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
  const { data, dtype, quantized } = parsed
  if (quantized.kind === '4bit') {
    const { range, finish } = prepareCompare4bit({ data, dtype, quantized })
    localKernels().compareRange(range)
    return finish()
  }
  const { range, finish } = prepareCompareInt8({ data, dtype, quantized })
  createInt8Kernels(createConversions()).compareInt8Rows(range)
  return finish()
}
