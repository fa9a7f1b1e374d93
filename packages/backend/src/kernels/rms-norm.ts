import * as tf from '@tensorflow/tfjs-core'
import { record } from '../autograd/record'
import { takeGradientSoFar } from '../autograd/value-and-grads'
import { runKernel } from '../engine'
import { withAddend } from '../portable/matrix'
import type { PortableKernel } from '../portable/register'

export interface RMSNormAttrs {
  /** Added to the mean square. */
  eps: number
  /** Added to the weight: 0, or 1 for models that store `weight - 1` (gemma). */
  offset: number
}

/**
 * Root mean square normalisation, `y = x / sqrt(mean(x^2) + eps) * (offset + weight)` (Zhang and Sennrich 2019).
 *
 * @param x `[tokens, hidden]`
 * @param weight `[hidden]`, may be trained.
 * @returns `[tokens, hidden]`
 */
export function rmsNorm(x: tf.Tensor2D, weight: tf.Tensor1D, attrs: RMSNormAttrs): tf.Tensor2D {
  const [y] = record({
    name: 'RMSNorm',
    inputs: { x, weight },
    forward: () => runKernel('TunesmithRMSNorm', { x, weight }, attrs),
    save: () => [x],
    gradient: (dy, [x]) => ({
      x: () => runKernel('TunesmithRMSNormGrad', { dy, x: x!, weight, ...takeGradientSoFar('x') }, attrs)[0]!,
      weight: () => runKernel('TunesmithRMSNormWeightGrad', { dy, x: x! }, attrs)[0]!,
    }),
  })
  return y as tf.Tensor2D
}

const inverseRms = (x: tf.Tensor, eps: number) => tf.rsqrt(tf.add(tf.mean(tf.square(x), -1, true), eps))

export const rmsNormKernels: PortableKernel<RMSNormAttrs>[] = [
  {
    name: 'TunesmithRMSNorm',
    run: ({ x, weight }, { eps, offset }) => tf.mul(tf.mul(x!, inverseRms(x!, eps)), tf.add(weight!, offset)),
  },
  {
    name: 'TunesmithRMSNormGrad',
    run: ({ dy, x, weight, addend }, { eps, offset }) => {
      const r = inverseRms(x!, eps)
      const scaled = tf.mul(dy!, tf.add(weight!, offset))
      const along = tf.mul(tf.mean(tf.mul(scaled, x!), -1, true), tf.square(r))
      return withAddend(tf.mul(r, tf.sub(scaled, tf.mul(x!, along))), addend)
    },
  },
  {
    name: 'TunesmithRMSNormWeightGrad',
    run: ({ dy, x }, { eps }) => tf.sum(tf.mul(tf.mul(dy!, x!), inverseRms(x!, eps)), 0),
  },
]
