import * as tf from '@tensorflow/tfjs-core'
import { record } from '../autograd/record'
import { runKernel } from '../engine'
import type { PortableKernel } from '../portable/register'
import { dropoutMask } from './dropout-mask'

export interface DropoutAttrs {
  /** Probability of dropping an element, in [0, 1). */
  rate: number
  /** Seed of the mask; must differ from layer to layer and step to step. */
  seed: number
}

/**
 * Inverted dropout with the mask of {@link dropoutMask}: `x * mask`. The mask is made again for the gradient instead of
 * being kept, and on a GPU it never leaves the registers.
 *
 * @param x `[tokens, width]`
 * @returns `[tokens, width]`; `x` itself, as another tensor, at rate 0.
 */
export function dropout(x: tf.Tensor2D, attrs: DropoutAttrs): tf.Tensor2D {
  if (attrs.rate === 0) return tf.clone(x)
  const [y] = record({
    name: 'Dropout',
    inputs: { x },
    forward: () => runKernel('TunesmithDropout', { x }, attrs),
    gradient: (dy) => ({ x: () => runKernel('TunesmithDropout', { x: dy }, attrs)[0]! }),
  })
  return y as tf.Tensor2D
}

/** Dropout out of standard operations. */
export function timesMask(x: tf.Tensor2D, { rate, seed }: DropoutAttrs): tf.Tensor2D {
  return tf.mul(x, tf.tensor2d(dropoutMask(x.size, rate, seed), x.shape))
}

export const dropoutKernels: PortableKernel<DropoutAttrs>[] = [
  {
    name: 'TunesmithDropout',
    run: ({ x }, attrs) => timesMask(x as tf.Tensor2D, attrs),
  },
]
