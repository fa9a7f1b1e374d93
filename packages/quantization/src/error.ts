import { parseOptions, TunesmithError } from '@tunesmith/core'
import { z } from 'zod'
import { quantMap4bit } from './codebooks'
import { checkFloatTensor, type FloatData, type FloatDtype, floatTensorFields, toFloat32 } from './floats'
import { localKernels } from './fourBit/instance'
import type { CompareRange } from './fourBit/kernels'
import { absmaxOf, type Quantized4bit } from './fourBit/quantize'
import { toShared } from './fourBit/shared'
import { dequantizeInt8, type QuantizedInt8 } from './int8'

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

/** Checks the sizes and allocates; `shared` puts what threads touch into shared memory. */
export function prepareCompare4bit({ data, dtype = 'float32', quantized }: Compare4bitOptions, shared = false) {
  const { shape, packed, blocksize, quantType } = quantized
  const count = shape.reduce((product, size) => product * size, 1)
  if (data.length !== count) throw sizesDiffer(data.length, count)
  const bytes = Math.ceil(count / CHUNK) * 32
  const sums = new Float64Array(shared ? new SharedArrayBuffer(bytes) : new ArrayBuffer(bytes))
  const absmax = absmaxOf(quantized)
  const range: CompareRange = {
    data: shared ? toShared(data) : data,
    packed: shared ? toShared(packed) : packed,
    absmax: shared ? toShared(absmax) : absmax,
    dtype,
    begin: 0,
    end: count,
    blocksize,
    map: quantMap4bit(quantType),
    sums,
  }
  return { range, finish: () => addErrorSums(sums, count) }
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
  const restored = dequantizeInt8({ quantized })
  if (data.length !== restored.length) throw sizesDiffer(data.length, restored.length)
  const values = toFloat32(data, dtype)
  const sums = new Float64Array(4)
  for (let i = 0; i < values.length; i++) {
    const error = Math.abs(values[i]! - restored[i]!)
    sums[0]! += error * error
    sums[1]! += values[i]! ** 2
    sums[2]! += error
    sums[3] = Math.max(sums[3]!, error)
  }
  return addErrorSums(sums, values.length)
}
