import type * as tf from '@tensorflow/tfjs-core'
import { record } from '../autograd/record'
import { runKernel } from '../engine'
import { type WeightMatrix, weightAttrs, weightInputs } from '../weights'

/**
 * The rows of an embedding matrix for token ids. Trainable when the weight is `f32`.
 *
 * @param weight `[vocab, hidden]`
 * @param ids int32 `[tokens]`, each in [0, vocab); out of range is undefined.
 * @returns `[tokens, hidden]`
 */
export function embeddingLookup(weight: WeightMatrix, ids: tf.Tensor1D): tf.Tensor2D {
  const attrs = weightAttrs(weight)
  const tensors = weightInputs(weight)
  return record({
    name: 'EmbeddingLookup',
    inputs: weight.format === 'f32' ? { weight: weight.weight } : {},
    forward: () => runKernel('TunesmithEmbeddingLookup', { ...tensors, ids }, attrs),
    save: () => [ids],
    gradient: (dy, [ids]) => ({
      weight: () => runKernel('TunesmithEmbeddingGrad', { dy, ids }, { outFeatures: attrs.outFeatures })[0]!,
    }),
  })[0] as tf.Tensor2D
}
