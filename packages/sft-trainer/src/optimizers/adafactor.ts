import * as tf from '@tensorflow/tfjs-core'
import { z } from 'zod'
import type { Optimizer, ParameterGroup } from './optimizer'
import { perParameterOptimizer } from './per-parameter'
import type { StateTensor } from './state-tensors'

export const adafactorArgs = z
  .strictObject({
    /** Added to squared gradients; lower bound of the parameter scale. Default [1e-30, 1e-3]. */
    eps: z.tuple([z.number().nonnegative(), z.number().nonnegative()]).default([1e-30, 1e-3]),
    /** Largest root mean square of an update, before the learning rate. Default 1. */
    clipThreshold: z.number().positive().default(1),
    /** Exponent of the decay of the second moment. Default -0.8. */
    decayRate: z.number().negative().default(-0.8),
    /** Keeps a first moment, at AdamW's cost in memory. Default none. */
    beta1: z.number().min(0).lt(1).nullish(),
    /** Steps in proportion to the parameter's root mean square. Default false. */
    scaleParameter: z.boolean().default(false),
    /** The paper's own schedule in place of the learning rate. Default false. */
    relativeStep: z.boolean().default(false),
    /** With `relativeStep`: begin with tiny steps. Default false. */
    warmupInit: z.boolean().default(false),
  })
  .refine(({ warmupInit, relativeStep }) => !warmupInit || relativeStep, 'warmupInit needs relativeStep')

type Key = 'exp_avg' | 'exp_avg_sq' | 'exp_avg_sq_row' | 'exp_avg_sq_col'

const rms = (x: tf.Tensor) => tf.sqrt(tf.mean(tf.square(x)))

/** `average` moves towards `x` and stays where it is. */
const follow = (average: tf.Variable, x: tf.Tensor, beta: number) =>
  average.assign(tf.add(tf.mul(average, beta), tf.mul(x, 1 - beta)))

/**
 * Adafactor (Shazeer and Stern 2018) as transformers has it: the second moment of a matrix is kept as a row and a column.
 *
 * Defaults are those the Trainer sets: the learning rate and its schedule hold, and nothing scales with the parameter.
 */
export function adafactor(groups: readonly ParameterGroup[], args: z.output<typeof adafactorArgs>): Optimizer {
  const { eps, clipThreshold, decayRate, beta1, scaleParameter, relativeStep, warmupInit } = args
  return perParameterOptimizer<Key>({
    groups,
    layout: (_, { shape }) => {
      const state = (dimensions: number[]): StateTensor => ({ dtype: 'F32', shape: dimensions })
      const second =
        shape.length >= 2
          ? { exp_avg_sq_row: state(shape.slice(0, -1)), exp_avg_sq_col: state([...shape.slice(0, -2), shape.at(-1)!]) }
          : { exp_avg_sq: state(shape) }
      return beta1 == null ? second : { exp_avg: state(shape), ...second }
    },
    update({ param, grad, state, lr, weightDecay, gradScale, step }) {
      tf.tidy(() => {
        const g = tf.mul(grad, gradScale)
        const rate = relativeStep ? Math.min(warmupInit ? 1e-6 * step : 1e-2, 1 / Math.sqrt(step)) : lr
        const scale: tf.Tensor = scaleParameter ? tf.mul(tf.maximum(rms(param), eps[1]), rate) : tf.scalar(rate)
        const beta2 = 1 - step ** decayRate
        const squares = tf.add(tf.square(g), eps[0])
        let update: tf.Tensor
        if (state.exp_avg_sq) {
          follow(state.exp_avg_sq, squares, beta2)
          update = tf.mul(tf.rsqrt(state.exp_avg_sq), g)
        } else {
          const { exp_avg_sq_row: row, exp_avg_sq_col: column } = state
          follow(row, tf.mean(squares, -1), beta2)
          follow(column, tf.mean(squares, -2), beta2)
          const rowFactor = tf.rsqrt(tf.div(row, tf.mean(row, -1, true)))
          // One side after the other: their product would be a third matrix.
          update = tf.mul(tf.mul(g, tf.expandDims(rowFactor, -1)), tf.expandDims(tf.rsqrt(column), -2))
        }
        update = tf.mul(tf.div(update, tf.maximum(tf.div(rms(update), clipThreshold), 1)), scale)
        if (beta1 != null) {
          follow(state.exp_avg, update, beta1)
          update = state.exp_avg
        }
        const decayed = weightDecay === 0 ? param : tf.sub(param, tf.mul(param, tf.mul(scale, weightDecay)))
        param.assign(tf.sub(decayed, update))
      })
    },
  })
}
