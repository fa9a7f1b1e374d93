import type * as tf from '@tensorflow/tfjs-core'
import { record } from '../autograd/record'
import { takeGradientSoFar } from '../autograd/value-and-grads'
import type { RMSNormAttrs } from '../contract/attributes'
import { runKernel } from '../engine'

/**
 * Root mean square normalisation, `y = x / sqrt(mean(x^2) + eps) * (offset + weight)` (Zhang and Sennrich 2019).
 *
 * @param x `[tokens, hidden]`
 * @param weight `[hidden]`, may be trained.
 * @returns `[tokens, hidden]`
 */
export function rmsNorm(x: tf.Tensor2D, weight: tf.Tensor1D, attrs: RMSNormAttrs): tf.Tensor2D {
  return record({
    name: 'RMSNorm',
    inputs: { x, weight },
    forward: () => runKernel('TunesmithRMSNorm', { x, weight }, attrs),
    save: () => [x],
    gradient: (dy, [x]) => ({
      x: () => runKernel('TunesmithRMSNormGrad', { dy, x, weight, ...takeGradientSoFar('x') }, attrs)[0]!,
      weight: () => runKernel('TunesmithRMSNormWeightGrad', { dy, x }, attrs)[0]!,
    }),
  })[0] as tf.Tensor2D
}
