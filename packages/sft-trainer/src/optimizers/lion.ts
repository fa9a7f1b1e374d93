import * as tf from '@tensorflow/tfjs-core'
import type { AdamWOptions } from './adamw'
import type { Optimizer, ParameterGroup } from './optimizer'
import { perParameterOptimizer } from './per-parameter'

/** The smallest normal float32: what is below counts as zero. */
const TINY = 2 ** -126

/** -1, 0 or 1, out of operations that the native backend has. */
const sign = (x: tf.Tensor) => tf.div(x, tf.maximum(tf.abs(x), TINY))

/**
 * Lion (Chen et al. 2023, "Symbolic Discovery of Optimization Algorithms"): steps of one size in the direction of an
 * interpolated momentum, decoupled decay. One float32 state, half of AdamW's memory; wants a learning rate 3 to 10 times smaller.
 */
export function lion(
  groups: readonly ParameterGroup[],
  { beta1, beta2, pageable = false }: Omit<AdamWOptions, 'eps'>,
): Optimizer {
  return perParameterOptimizer({
    groups,
    pageable,
    layout: (_, { shape }) => ({ exp_avg: { dtype: 'F32', shape } }),
    update({ param, grad, state: { exp_avg: average }, lr, weightDecay, gradScale }) {
      tf.tidy(() => {
        const direction = sign(tf.add(tf.mul(average, beta1), tf.mul(grad, gradScale * (1 - beta1))))
        const decayed = weightDecay === 0 ? param : tf.mul(param, 1 - lr * weightDecay)
        param.assign(tf.sub(decayed, tf.mul(direction, lr)))
        average.assign(tf.add(tf.mul(average, beta2), tf.mul(grad, gradScale * (1 - beta2))))
      })
    },
  })
}
