import * as tf from '@tensorflow/tfjs-core'
import { CausalLM, parseModelConfig } from '@tunesmith/models'

/** A model of sizes without weights: enough to put adapters on and count, whatever the size. */
export function shapeModel(config: Record<string, unknown>): CausalLM {
  return new CausalLM(parseModelConfig(config), {
    matrix: (_, outFeatures, inFeatures) => ({ format: 'f32', outFeatures, inFeatures, weight: undefined as never }),
    vector: (_, size) => tf.zeros([size]),
  })
}
