import { invalidOptions, TunesmithError } from '@tunesmith/core'
import type { QuantizedWeight } from './bitsandbytes'
import { type QuantizationConfig, type QuantizationConfigOptions, quantizationConfig } from './config'
import { type FloatDtype, type FloatTensor, findNonFinite } from './floats'
import type { QuantizationPool } from './pool'

/** safetensors' names of the dtypes that can be quantized. */
export const FLOAT_DTYPES: Readonly<Record<string, FloatDtype>> = { F32: 'float32', F16: 'float16', BF16: 'bfloat16' }

export interface QuantizeWeightOptions {
  /** For messages. */
  name: string
  weight: FloatTensor
  config: QuantizationConfigOptions | QuantizationConfig
  /** Elements per scale of the 4-bit formats; transformers always uses 64. Default 64. */
  blocksize?: number
  pool: QuantizationPool
}

/**
 * Quantizes one weight as a configuration says, in the pool's threads; for loaders that quantize tensor by tensor.
 *
 * @throws {TunesmithError} `numerical` naming the first element that is NaN or infinite (for int8 also one too large
 *   for float16); `invalid_options` when the configuration asks for no quantization.
 */
export async function quantizeWeight(options: QuantizeWeightOptions): Promise<QuantizedWeight> {
  const { name, weight, blocksize, pool } = options
  const config = quantizationConfig(options.config)
  const { data, dtype, shape } = weight
  if (!config.loadIn4bit && !config.loadIn8bit)
    throw invalidOptions('neither loadIn4bit nor loadIn8bit is set', { where: name, remedy: 'Set one of the two' })
  const quantized: QuantizedWeight = config.loadIn8bit
    ? await pool.quantizeInt8({ data, dtype, shape })
    : await pool.quantize4bit({
        data,
        dtype,
        shape,
        quantType: config.bnb4bitQuantType,
        doubleQuant: config.bnb4bitUseDoubleQuant,
        blocksize,
      })
  // A scale is the largest magnitude of its elements, so it tells of any that is not finite without another look at
  // all; with double quantization one such scale makes the mean of all not finite.
  const scales =
    quantized.kind === 'int8'
      ? quantized.scb
      : quantized.nested
        ? [quantized.nested.offset]
        : (quantized.absmax as Float32Array)
  if (!scales.every(Number.isFinite)) throw notFinite(name, weight)
  return quantized
}

function notFinite(name: string, weight: FloatTensor): TunesmithError {
  const at = findNonFinite(weight)
  const what = at < 0 ? 'a value is too large to quantize' : `element ${at} (of the flat weight) is NaN or infinite`
  const remedy = at < 0 ? 'Leave this module out' : 'Download the model again, or leave this module out'
  return new TunesmithError(what, { code: 'numerical', where: name, remedy })
}
