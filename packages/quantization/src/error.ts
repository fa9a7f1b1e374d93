import { parseOptions, TunesmithError } from '@tunesmith/core'
import { z } from 'zod'
import { quantMap4bit } from './codebooks'
import { checkFloatTensor, createConversions, type FloatData, type FloatDtype, floatTensorFields } from './floats'
import { localKernels } from './four-bit/instance'
import { absmaxOf, type Quantized4bit } from './four-bit/quantize'
import { ownMemory, type SharedMemory, toShared } from './four-bit/shared'
import type { QuantizedInt8 } from './int8'
import { createInt8Kernels } from './int8-kernels'

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

/** A weight before quantization, with its dtype (default float32), and what became of it. */
interface Compared<Quantized> {
  data: FloatData
  dtype?: FloatDtype
  quantized: Quantized
}

/** Checks the size and gets memory for the sums, four for each of `groups`; for threads, shared memory. */
function prepare<Range>(
  { data, dtype = 'float32' }: Omit<Compared<unknown>, 'quantized'>,
  { count, groups }: { count: number; groups: number },
  memory: SharedMemory,
  range: Range,
) {
  if (data.length !== count)
    throw new TunesmithError(`the weight has ${data.length} elements, the quantized one ${count}`, {
      code: 'invalid_options',
      where: 'quantizationError',
      remedy: 'Pass the weight that was quantized',
    })
  const sums = new Float64Array(memory.take('sums', 32 * groups), 0, 4 * groups)
  return {
    range: { ...range, data: toShared(data, memory, 'data'), dtype, begin: 0, sums },
    finish: () => addErrorSums(sums, count),
  }
}

/** What `compareRange` needs to compare a 4-bit weight, and `finish`, which adds up its sums. */
export function prepareCompare4bit({ quantized, ...weight }: Compared<Quantized4bit>, memory = ownMemory) {
  const { shape, blocksize, quantType } = quantized
  const count = shape.reduce((product, size) => product * size, 1)
  return prepare(weight, { count, groups: Math.ceil(count / CHUNK) }, memory, {
    packed: toShared(quantized.packed, memory, 'packed'),
    absmax: toShared(absmaxOf(quantized), memory, 'absmax'),
    map: quantMap4bit(quantType),
    end: count,
    blocksize,
  })
}

/** As {@link prepareCompare4bit}, for `compareInt8Rows`. */
export function prepareCompareInt8({ quantized, ...weight }: Compared<QuantizedInt8>, memory = ownMemory) {
  const [rows, columns] = quantized.shape
  return prepare(weight, { count: rows * columns, groups: rows }, memory, {
    codes: toShared(quantized.weight, memory, 'codes'),
    absmax: toShared(quantized.scb, memory, 'absmax'),
    end: rows,
    columns,
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
