import * as tf from '@tensorflow/tfjs-core'
import { invalidData } from '@tunesmith/core'
import { record } from '../autograd/record'

/**
 * `x + y` of the same shape, for residual connections: its gradient needs neither, so neither is kept for the backward
 * pass. (`tf.add` keeps both, to undo broadcasting: two tensors in every block of a decoder.)
 *
 * @param x `[tokens, hidden]`, likewise `y`.
 */
export function residualAdd(x: tf.Tensor2D, y: tf.Tensor2D): tf.Tensor2D {
  if (x.shape.join() !== y.shape.join())
    throw invalidData(`residualAdd: the shapes differ: [${x.shape}] and [${y.shape}]`)
  return record({
    name: 'ResidualAdd',
    inputs: { x, y },
    forward: () => [tf.add(x, y)],
    gradient: (dy) => ({ x: () => tf.clone(dy), y: () => tf.clone(dy) }),
  })[0] as tf.Tensor2D
}
