import * as tf from '@tensorflow/tfjs-core'
import {
  denseWeight,
  dequantize,
  disposeWeight,
  packedWeight,
  type WeightMatrix,
  withoutRecording,
} from '@tunesmith/backend'
import { invalidOptions, parseOptions, unsupported } from '@tunesmith/core'
import { tensorBytes } from '@tunesmith/hub'
import { z } from 'zod'
import type { CausalLM } from './causal-lm'

const resizeSchema = z.strictObject({
  /** Rows are rounded up to a multiple of this, which some hardware multiplies faster. Default 1. */
  padToMultipleOf: z.number().int().positive().default(1),
})
export type ResizeOptions = z.input<typeof resizeSchema>

/** What resizing did. */
export interface Resized {
  /** Rows of the embeddings now: `model.config.vocabSize`. */
  vocabSize: number
  /** Rows that are new. */
  added: number
}

/**
 * Makes room for tokens that were added to a tokenizer: the embeddings and the head get more rows, each the mean of the rows that were there
 * (Hewitt 2021), as in transformers, which adds noise a hundred-thousandth of their spread. Frozen weights stay frozen and in their format,
 * trained ones are trained on; variables that were taken from the model before are gone. Saved and exported models have the new size.
 *
 * @param vocabSize ids that the model has to know from now on: the `vocabSize` of `tokenizer.addTokens`.
 * @throws {TunesmithError} `invalid_options` for fewer rows than there are; `unsupported` with an adapter on the model, and for quantized
 *   embeddings.
 */
export function resizeTokenEmbeddings(model: CausalLM, vocabSize: number, options: ResizeOptions = {}): Resized {
  const where = 'resizeTokenEmbeddings'
  const { padToMultipleOf: step } = parseOptions(resizeSchema, options, where)
  const before = model.config.vocabSize
  if (!Number.isInteger(vocabSize) || vocabSize < before)
    throw invalidOptions(`The model has ${before} rows for tokens, and ${vocabSize} are asked for`, {
      where,
      remedy: 'Rows cannot be taken away: ask for as many, or more',
    })
  const { embedTokens, lmHead } = model
  if (model.attachment || embedTokens.override || lmHead.override)
    throw unsupported('An adapter sits on the model, whose tensors have the size it had', {
      where,
      remedy: 'Resize the model first, and put the adapter on it afterwards',
    })
  const size = Math.ceil(vocabSize / step) * step
  if (size === before) return { vocabSize: before, added: 0 }
  const old = embedTokens.weight
  const isTied = lmHead.weight === old
  // Both before either is let go, so that a refusal changes nothing.
  const embeddings = grown(old, size, embedTokens.name)
  const head = isTied ? embeddings : grown(lmHead.weight, size, lmHead.name)
  if (!isTied) disposeWeight(lmHead.weight)
  disposeWeight(old)
  embedTokens.weight = embeddings
  lmHead.weight = head
  const { config } = model
  config.vocabSize = size
  const text = config.raw.text_config as Record<string, unknown> | undefined
  const inside = text && { text_config: { ...text, vocab_size: size } }
  config.raw = { ...config.raw, ...(text ? inside : { vocab_size: size }) }
  model.resized = true
  return { vocabSize: size, added: size - before }
}

const DTYPES = { bf16: 'BF16', f16: 'F16' } as const

/** A weight with rows of its mean at the end. */
function grown(weight: WeightMatrix, outFeatures: number, where: string): WeightMatrix {
  const { format, inFeatures, outFeatures: rows } = weight
  if (format !== 'f32' && format !== 'bf16' && format !== 'f16')
    throw unsupported(`The weight is quantized (${format}), and a new row has no exact place in it`, {
      where,
      remedy: 'Load the model with its embeddings in bfloat16 or float32',
    })
  return withoutRecording(() => {
    const mean = tf.tidy(() => tf.mean<tf.Tensor1D>(dequantize(weight), 0).dataSync<'float32'>())
    if (format === 'f32') {
      const made = tf.tidy(() => {
        const added = tf.tile(tf.tensor2d(mean, [1, inFeatures]), [outFeatures - rows, 1])
        const all = tf.concat2d([weight.weight as tf.Tensor2D, added], 0)
        const { weight: from } = weight
        return from instanceof tf.Variable ? tf.variable(all, from.trainable) : tf.keep(all)
      })
      return denseWeight(made as tf.Tensor2D)
    }
    const words = weight.weight.dataSync<'int32'>()
    const bytes = new Uint8Array(outFeatures * inFeatures * 2)
    bytes.set(new Uint8Array(words.buffer, words.byteOffset, rows * inFeatures * 2))
    const row = tensorBytes(mean, DTYPES[format])
    for (let r = rows; r < outFeatures; r++) bytes.set(row, r * inFeatures * 2)
    return packedWeight({ format, outFeatures, inFeatures, bytes })
  })
}
