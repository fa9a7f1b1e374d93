import * as tf from '@tensorflow/tfjs-core'
import type { DropoutAttrs } from '../contract/attributes'
import { dropoutMask } from '../contract/dropout-mask'
import type { PortableKernel } from './register'

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
