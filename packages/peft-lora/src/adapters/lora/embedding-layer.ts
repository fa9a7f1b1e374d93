import * as tf from '@tensorflow/tfjs-core'
import { denseWeight, embeddingLookup } from '@tunesmith/backend'
import type { EmbeddingModule } from '@tunesmith/models'
import type { AdapterLayer } from '../../adapter'
import type { LoraTensors } from './linear-layer'
import { columnNorms } from './weight-norms'

/**
 * The low-rank update of the embeddings, `scaling * (B A)^T` with A `[r, vocab]` and B `[hidden, r]`; there is no dropout.
 *
 * @param dora whether the length of each of the embeddings' dimensions is trained as well.
 */
export function loraEmbeddingLayer(module: EmbeddingModule, tensors: LoraTensors, dora: boolean): AdapterLayer {
  const { a, b, scaling } = tensors
  const norms = dora ? columnNorms(() => module.weight, tensors) : undefined
  const magnitude = norms && tf.tidy(() => tf.variable(tf.clone(norms.lengths())))
  const addition = (ids: tf.Tensor1D): tf.Tensor2D => {
    const rows = embeddingLookup(denseWeight(tf.transpose(a)), ids)
    return tf.mul(tf.matMul(rows, b, false, true), scaling)
  }
  return {
    parameters: { lora_embedding_A: a, lora_embedding_B: b, ...(magnitude && { lora_magnitude_vector: magnitude }) },
    embed: (ids, below, call) =>
      tf.tidy(() => {
        const sum = tf.add(below.forward(ids), addition(ids))
        return (magnitude ? tf.mul(sum, tf.div(magnitude, norms!.lengths(call))) : sum) as tf.Tensor2D
      }),
    merge({ weight, bias }) {
      const sum = tf.add(weight, tf.mul(tf.matMul(a, b, true, true), scaling))
      return { weight: (magnitude ? tf.mul(sum, tf.div(magnitude, norms!.lengths())) : sum) as tf.Tensor2D, bias }
    },
    baseChanged: () => norms?.reset(),
    dispose: () => norms?.reset(),
  }
}
