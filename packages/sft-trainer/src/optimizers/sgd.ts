import * as tf from '@tensorflow/tfjs-core'
import { z } from 'zod'
import type { Optimizer, ParameterGroup } from './optimizer'
import { perParameterOptimizer } from './per-parameter'

export const sgdArgs = z
  .strictObject({
    /** Default 0. */
    momentum: z.number().min(0).lt(1).default(0),
    /** Default 0. */
    dampening: z.number().min(0).max(1).default(0),
    /** Default false. */
    nesterov: z.boolean().default(false),
  })
  .refine(
    ({ momentum, dampening, nesterov }) => !nesterov || (momentum > 0 && dampening === 0),
    'nesterov needs a momentum and no dampening',
  )

/** torch's SGD: weight decay is added to the gradient, and the first gradient enters the momentum undampened. */
export function sgd(groups: readonly ParameterGroup[], args: z.output<typeof sgdArgs>): Optimizer {
  const { momentum, dampening, nesterov } = args
  return perParameterOptimizer<'momentum_buffer'>({
    groups,
    layout: (_, { shape }) => (momentum === 0 ? {} : { momentum_buffer: { dtype: 'F32', shape } }),
    update({ param, grad, state: { momentum_buffer: buffer }, lr, weightDecay, gradScale, step }) {
      tf.tidy(() => {
        let direction = gradScale === 1 ? grad : tf.mul(grad, gradScale)
        if (weightDecay !== 0) direction = tf.add(direction, tf.mul(param, weightDecay))
        if (momentum !== 0) {
          const added = dampening === 0 || step === 1 ? direction : tf.mul(direction, 1 - dampening)
          buffer.assign(step === 1 ? tf.clone(added) : tf.add(tf.mul(buffer, momentum), added))
          direction = nesterov ? tf.add(direction, tf.mul(buffer, momentum)) : buffer
        }
        param.assign(tf.sub(param, tf.mul(direction, lr)))
      })
    },
  })
}
