import * as tf from '@tensorflow/tfjs-core'
import { denseWeight, packedWeight, type WeightFormat, type WeightMatrix } from '@tunesmith/backend'
import { tensorBytes } from '@tunesmith/hub'
import { quantizedMatrix } from '@tunesmith/models'
import { quantize4bit, quantizeInt8 } from '@tunesmith/quantization'

/** How a weight is stored: one of the formats, with the block size of the 4-bit ones. */
export interface Storage {
  format: WeightFormat
  blockSize?: number | undefined
  /** Of the 4-bit formats: what values are rounded to when they are read. */
  roundTo?: WeightMatrix['roundTo']
}

/** Puts float32 values `[out, in]` into a format, rounding to nearest. The values' tensor is not disposed. */
export function storeWeight(values: tf.Tensor2D, storage: Storage): WeightMatrix {
  if (storage.format === 'f32') return denseWeight(tf.keep(tf.clone(values)))
  const stored = pack(values, storage)
  // Out of the reach of a surrounding `tf.tidy`.
  for (const tensor of [stored.weight, stored.absmax, stored.code, stored.scale]) if (tensor) tf.keep(tensor)
  return stored
}

function pack(values: tf.Tensor2D, { format, blockSize = 64, roundTo }: Storage): WeightMatrix {
  const { shape } = values
  const data = values.dataSync() as Float32Array
  if (format === 'int8') return quantizedMatrix(quantizeInt8({ data, shape }))
  if (format === 'nf4' || format === 'fp4') {
    const quantized = quantize4bit({ data, shape, quantType: format, blocksize: blockSize as 64 })
    return { ...quantizedMatrix(quantized), ...(roundTo && { roundTo }) }
  }
  const bytes = tensorBytes(data, format === 'bf16' ? 'BF16' : 'F16')
  return packedWeight({ format, outFeatures: shape[0], inFeatures: shape[1], bytes })
}
