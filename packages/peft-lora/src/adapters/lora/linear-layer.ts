import * as tf from '@tensorflow/tfjs-core'
import { dropout, loraLinear } from '@tunesmith/backend'
import type { LinearModule } from '@tunesmith/models'
import type { AdapterLayer } from '../../adapter'

export interface LoraTensors {
  /** `[r, in]` */
  a: tf.Variable<tf.Rank.R2>
  /** `[out, r]` */
  b: tf.Variable<tf.Rank.R2>
  scaling: number
  dropout: number
}

/** The input of the update during training: some elements dropped, the others scaled up. */
export function dropped(x: tf.Tensor2D, rate: number, seed: number): tf.Tensor2D {
  return rate === 0 ? x : dropout(x, { rate, seed })
}

/** `scaling * (x A^T) B^T`, differentiable. */
export function lowRank(
  x: tf.Tensor2D,
  { a, b, scaling }: { a: tf.Tensor2D; b: tf.Tensor2D; scaling: number },
): tf.Tensor2D {
  return tf.mul(tf.matMul(tf.matMul(x, a, false, true), b, false, true), scaling)
}

/** `scaling * B A`. */
export function update({ a, b, scaling }: LoraTensors): tf.Tensor2D {
  return tf.mul(tf.matMul(b, a), scaling)
}

/** The low-rank update of one linear layer (Hu et al. 2021): `scaling * B A`, with A `[r, in]` and B `[out, r]`. */
export function loraLinearLayer(module: LinearModule, tensors: LoraTensors): AdapterLayer {
  const { a, b, scaling, dropout } = tensors
  return {
    parameters: { 'lora_A.weight': a, 'lora_B.weight': b },
    forward(x, below, { training, seed }) {
      const rate = training ? dropout : 0
      // Right above the weight, base and update are one kernel.
      if (below.isModule) return loraLinear(x, module.weight, a, b, { scaling, dropout: rate, seed }, module.bias)
      return tf.tidy(() => tf.add(below.forward(x), lowRank(dropped(x, rate, seed), tensors)))
    },
    delta: (x) => tf.tidy(() => lowRank(x, tensors)),
    merge: ({ weight, bias }) => ({ weight: tf.add(weight, update(tensors)), bias }),
  }
}
