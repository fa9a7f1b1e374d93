import * as tf from '@tensorflow/tfjs-core'
import { type WeightFormat, withoutRecording } from '@tunesmith/backend'
import { Random } from '@tunesmith/core'
import { CausalLM, parseModelConfig } from '@tunesmith/models'
import { storeWeight } from '../store-weight'

export const TINY_CONFIG = {
  model_type: 'llama',
  vocab_size: 48,
  hidden_size: 32,
  intermediate_size: 48,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  max_position_embeddings: 64,
  rms_norm_eps: 1e-5,
}

export interface TinyModelOptions {
  /** What the decoder's linear layers are stored in. Default `f32`. */
  format?: WeightFormat
  /** Keys of config.json to change. */
  config?: Record<string, unknown>
  seed?: number
}

/** A small frozen model with weights large enough to matter; biases too where the architecture has them. */
export function tinyModel({ format = 'f32', config = {}, seed = 5 }: TinyModelOptions = {}): CausalLM {
  const values = (name: string, size: number, spread: number, mean = 0) => {
    const random = new Random(seed, name)
    return Float32Array.from({ length: size }, () => mean + spread * random.normal())
  }
  return withoutRecording(
    () =>
      new CausalLM(parseModelConfig({ ...TINY_CONFIG, ...config }), {
        matrix(name, out, inFeatures) {
          const dense = tf.tensor2d(values(name, out * inFeatures, 0.2), [out, inFeatures])
          const stored = storeWeight(dense, { format: name.includes('.layers.') ? format : 'f32' })
          dense.dispose()
          return stored
        },
        vector: (name, size) => tf.tensor1d(values(name, size, 0.1, name.endsWith('.bias') ? 0 : 1)),
      }),
  )
}
