import * as tf from '@tensorflow/tfjs-core'
import { denseWeight, packedWeight, type WeightFormat, type WeightMatrix } from '@tunesmith/backend'
import { f32ToBf16, f32ToF16 } from '@tunesmith/hub'
import { absmaxOf, quantize4bit, quantizeInt8, quantMap4bit } from '@tunesmith/quantization'

/** How a weight is stored: one of the formats, with the block size of the 4-bit ones. */
export interface Storage {
  format: WeightFormat
  blockSize?: number | undefined
  /** Of the 4-bit formats: what values are rounded to when they are read. */
  roundTo?: WeightMatrix['roundTo']
}

/** Puts float32 values `[out, in]` into a format, rounding to nearest. The values' tensor is not disposed. */
export function storeWeight(values: tf.Tensor2D, { format, blockSize = 64, roundTo }: Storage): WeightMatrix {
  const [outFeatures, inFeatures] = values.shape
  if (format === 'f32') return denseWeight(tf.keep(tf.clone(values)))
  const data = values.dataSync() as Float32Array
  const shape = { outFeatures, inFeatures }
  if (format === 'bf16' || format === 'f16') {
    const halves = format === 'bf16' ? f32ToBf16(data) : f32ToF16(data)
    return kept(
      packedWeight({ format, ...shape, bytes: new Uint8Array(halves.buffer, halves.byteOffset, halves.byteLength) }),
    )
  }
  if (format === 'int8') {
    const { weight, scb } = quantizeInt8({ data, shape: values.shape })
    const bytes = new Uint8Array(weight.buffer, weight.byteOffset, weight.byteLength)
    return kept(packedWeight({ format, ...shape, bytes, scale: scb.map((largest) => largest / 127) }))
  }
  const quantized = quantize4bit({ data, shape: values.shape, quantType: format, blocksize: blockSize as 64 })
  return kept(
    packedWeight({
      format,
      ...shape,
      blockSize,
      ...(roundTo && { roundTo }),
      bytes: quantized.packed,
      absmax: absmaxOf(quantized),
      code: quantMap4bit(format),
    }),
  )
}

/** Out of the reach of a surrounding `tf.tidy`. */
function kept(weight: WeightMatrix): WeightMatrix {
  for (const tensor of [weight.weight, weight.absmax, weight.code, weight.scale]) if (tensor) tf.keep(tensor)
  return weight
}
