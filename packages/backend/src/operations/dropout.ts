import * as tf from '@tensorflow/tfjs-core'
import { record } from '../autograd/record'
import type { DropoutAttrs } from '../contract/attributes'
import { runKernel } from '../engine'

/**
 * Inverted dropout with the mask of {@link dropoutMask}: `x * mask`. The mask is made again for the gradient instead of
 * being kept, and on a GPU it never leaves the registers.
 *
 * @param x `[tokens, width]`
 * @returns `[tokens, width]`; `x` itself, as another tensor, at rate 0.
 */
export function dropout(x: tf.Tensor2D, attrs: DropoutAttrs): tf.Tensor2D {
  if (attrs.rate === 0) return tf.clone(x)
  return record({
    name: 'Dropout',
    inputs: { x },
    forward: () => runKernel('TunesmithDropout', { x }, attrs),
    gradient: (dy) => ({ x: () => runKernel('TunesmithDropout', { x: dy }, attrs)[0]! }),
  })[0] as tf.Tensor2D
}
