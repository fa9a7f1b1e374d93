import * as tf from '@tensorflow/tfjs-core'
import type { RMSNormAttrs } from '../contract/attributes'
import { withAddend } from './matrix'
import type { PortableKernel } from './register'

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
