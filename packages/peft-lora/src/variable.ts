import * as tf from '@tensorflow/tfjs-core'
import { incompatible, type Random } from '@tunesmith/core'

let left = Number.POSITIVE_INFINITY

/**
 * Runs `f`, in which the variables of an adapter are made.
 *
 * @param count how many numbers they may have in all.
 */
export function withElements<Result>(count: number, f: () => Result): Result {
  const before = left
  left = count
  try {
    return f()
  } finally {
    left = before
  }
}

/** To be called before memory is taken. @throws {TunesmithError} `incompatible` for more than {@link withElements} allows. */
export function claimElements(count: number): void {
  left -= count
  if (left >= 0) return
  throw incompatible('The adapter would be larger than its file or this machine allows', {
    where: 'adapter config',
    remedy: 'Check its rank or the number of its virtual tokens',
  })
}

/** A variable whose values are drawn one after another, row by row. */
export function variableOf<R extends tf.Rank = tf.Rank.R2>(
  shape: tf.ShapeMap[R],
  draw: () => number,
  trainable = true,
): tf.Variable<R> {
  claimElements(tf.util.sizeFromShape(shape))
  const values = Float32Array.from({ length: tf.util.sizeFromShape(shape) }, draw)
  return tf.tidy(() => tf.variable(tf.tensor<R>(values, shape), trainable))
}

/** Draws uniformly between plus and minus `bound`. */
export const uniform = (random: Random, bound: number) => () => (2 * random.uniform() - 1) * bound
