import * as tf from '@tensorflow/tfjs-core'
import type { Random } from '@tunesmith/core'

/** A variable whose values are drawn one after another, row by row. */
export function variableOf<R extends tf.Rank = tf.Rank.R2>(
  shape: tf.ShapeMap[R],
  draw: () => number,
  trainable = true,
): tf.Variable<R> {
  const values = Float32Array.from({ length: tf.util.sizeFromShape(shape) }, draw)
  return tf.tidy(() => tf.variable(tf.tensor<R>(values, shape), trainable))
}

/** Draws uniformly between plus and minus `bound`. */
export const uniform = (random: Random, bound: number) => () => (2 * random.uniform() - 1) * bound
