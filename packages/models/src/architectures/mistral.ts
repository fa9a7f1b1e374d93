import * as tf from '@tensorflow/tfjs-core'
import type { Architecture } from './architecture'
import { llama } from './llama'
import { attention, attentionLinears, gatedMlp, mlpLinears } from './parts'

/** Mistral 7B and its children (Starling, OpenChat, Zephyr): Llama without biases, with a sliding window over the keys. */
export const mistral: Architecture = {
  modelType: 'mistral',
  linears: (config) => ({
    ...attentionLinears(config, { qkv: false, o: false }),
    ...mlpLinears(config, false),
  }),
  norms: llama.norms,
  block(layer, x, step) {
    const { slidingWindow } = layer.config
    const attended: tf.Tensor2D = tf.add(x, attention(layer, layer.norm('input_layernorm', x), step, slidingWindow))
    return tf.add(attended, gatedMlp(layer, layer.norm('post_attention_layernorm', attended)))
  },
}
