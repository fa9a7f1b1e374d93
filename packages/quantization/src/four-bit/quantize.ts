import { parseOptions } from '@tunesmith/core'
import { z } from 'zod'
import { dequantizeBlockwise } from '../blockwise8bit'
import { bucketsOf, type QuantType4bit, quantMap4bit } from '../codebooks'
import { checkFloatTensor, type FloatData, type FloatDtype, floatDtype, floatTensorFields } from '../floats'
import { CHUNK, runHere, type Task } from '../task'
import { compressAbsmax, type NestedAbsmax } from './double-quant'
import { ownMemory, type SharedMemory, toShared, unshared } from './shared'

/** A weight in 4 bits, as bitsandbytes lays it out. */
export interface Quantized4bit {
  kind: '4bit'
  quantType: QuantType4bit
  /** Elements per scale; blocks run over the flattened weight and may cross rows. */
  blocksize: number
  /** What the weight was stored in, and what it dequantizes to. */
  dtype: FloatDtype
  /** `[out, in]`. */
  shape: readonly number[]
  /** `[ceil(n / 2)]`: the even element in the high nibble; an odd count ends with a zero's code. */
  packed: Uint8Array
  /** One scale per block: float32, or with double quantization the codes of `nested`. */
  absmax: Float32Array | Uint8Array
  /** Double quantization: how to get the scales back. */
  nested?: NestedAbsmax
}

const blocksizes = [32, 64, 128, 256, 512, 1024, 2048, 4096]
const quantizeOptions = z.strictObject({
  ...floatTensorFields,
  /** Number format. Default `nf4`. */
  quantType: z.enum(['nf4', 'fp4']).default('nf4'),
  /** Elements per scale: a power of two from 32 to 4096. Default 64. */
  blocksize: z
    .int()
    .refine((size) => blocksizes.includes(size), `must be one of ${blocksizes.join(', ')}`)
    .default(64),
  /** Quantize the scales too: 8 bits each, in blocks of 256 around their mean. Default false. */
  doubleQuant: z.boolean().default(false),
})

export type Quantize4bitOptions = z.input<typeof quantizeOptions>

/** Checks the options and gets memory for the results; for threads, shared memory. */
export function prepareQuantize4bit(
  options: Quantize4bitOptions,
  memory: SharedMemory = ownMemory,
): Task<Quantized4bit> {
  const where = 'quantize4bit'
  const parsed = parseOptions(quantizeOptions, options, where)
  const { dtype, quantType, blocksize } = parsed
  const shape = checkFloatTensor(parsed, where)
  const count = parsed.data.length
  const data = toShared(parsed.data, memory, 'data')
  const [bytes, blocks] = [Math.ceil(count / 2), Math.ceil(count / blocksize)]
  const packed = new Uint8Array(memory.take('packed', bytes), 0, bytes)
  const absmax = new Float32Array(memory.take('absmax', 4 * blocks), 0, blocks)
  const { thresholds, order } = bucketsOf(quantMap4bit(quantType))
  const range = { data, dtype, begin: 0, end: count, blocksize, thresholds, order, packed, absmax }
  const finish = (): Quantized4bit => {
    const common = { kind: '4bit' as const, quantType, blocksize, dtype, shape, packed: unshared(packed) }
    if (!parsed.doubleQuant) return { ...common, absmax: unshared(absmax) }
    return { ...common, ...compressAbsmax(absmax) }
  }
  return { method: 'quantizeRange', range, unit: CHUNK, finish }
}

/**
 * Quantizes a weight to NF4 or FP4: every block of `blocksize` consecutive elements is divided by its largest magnitude
 * and each element becomes the nearest of the format's sixteen values. The result is bitsandbytes' to the last bit.
 *
 * Ties go to the smaller value. A block of zeros stays zero. Blocks whose largest magnitude is under 1e-38 are scaled by
 * 1e38. A NaN makes its block NaN; in a block with an infinity everything dequantizes to NaN or an infinity (codes and
 * scales are still bitsandbytes'); use {@link findNonFinite} to refuse such weights, as `quantizeCheckpoint` does.
 *
 * @throws {TunesmithError} `invalid_options`
 * @see Dettmers et al., "QLoRA: Efficient Finetuning of Quantized LLMs", 2023
 */
export function quantize4bit(options: Quantize4bitOptions): Quantized4bit {
  return runHere(prepareQuantize4bit(options))
}

/** The scales of a 4-bit weight as float32 `[blocks]`; with double quantization they are computed. */
export function absmaxOf({ absmax, nested }: Pick<Quantized4bit, 'absmax' | 'nested'>): Float32Array {
  if (absmax instanceof Float32Array) return absmax
  const { map, blocksize, offset, absmax: nestedAbsmax } = nested!
  const scales = dequantizeBlockwise({ codes: absmax, absmax: nestedAbsmax, map, blocksize })
  for (let i = 0; i < scales.length; i++) scales[i]! += offset
  return scales
}

const dequantizeOptions = z.strictObject({
  quantized: z.custom<Quantized4bit>(
    (q) => (q as Quantized4bit | undefined)?.kind === '4bit',
    'must be a 4-bit weight',
  ),
  /** What to return; default the weight's own dtype. */
  dtype: floatDtype.optional(),
  /** Memory for the result, which is then returned; threads write straight into it when it is shared memory. */
  out: z
    .custom<FloatData>((x) => x instanceof Float32Array || x instanceof Uint16Array, 'must be an array of the dtype')
    .optional(),
})

export type Dequantize4bitOptions = z.input<typeof dequantizeOptions>

/** As {@link prepareQuantize4bit}, for the way back. */
export function prepareDequantize4bit(
  options: Dequantize4bitOptions,
  memory: SharedMemory = ownMemory,
): Task<FloatData> {
  const shared = memory !== ownMemory
  const where = 'dequantize4bit'
  const { quantized, dtype = quantized.dtype, out: given } = parseOptions(dequantizeOptions, options, where)
  const { shape, blocksize, quantType } = quantized
  const count = shape.reduce((product, size) => product * size, 1)
  if (given) checkFloatTensor({ data: given, dtype, shape }, `${where}: out`)
  const bytes = count * (dtype === 'float32' ? 4 : 2)
  const allocate = () => (shared ? new SharedArrayBuffer(bytes) : new ArrayBuffer(bytes))
  const usable = given && (!shared || given.buffer instanceof SharedArrayBuffer) ? given : undefined
  const out = usable ?? (dtype === 'float32' ? new Float32Array(allocate()) : new Uint16Array(allocate()))
  const packed = toShared(quantized.packed, memory, 'packed')
  const absmax = toShared(absmaxOf(quantized), memory, 'absmax')
  const map = quantMap4bit(quantType)
  const range = { packed, absmax, begin: 0, end: count, blocksize, map, out, dtype }
  const finish = (): FloatData => {
    if (given === undefined || given === out) return out
    given.set(out)
    return given
  }
  return { method: 'dequantizeRange', range, unit: CHUNK, finish }
}

/**
 * The weight's values: `map[code] * absmax[block]` in float32, rounded to the dtype; row-major, `shape`'s size.
 *
 * @throws {TunesmithError} `invalid_options`
 */
export function dequantize4bit(options: Dequantize4bitOptions & { dtype: 'float32' }): Float32Array
export function dequantize4bit(options: Dequantize4bitOptions): FloatData
export function dequantize4bit(options: Dequantize4bitOptions): FloatData {
  return runHere(prepareDequantize4bit(options))
}
