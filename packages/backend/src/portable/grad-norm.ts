import * as tf from '@tensorflow/tfjs-core'
import type { PortableKernel } from './register'

export const gradNormKernels: PortableKernel<never>[] = [
  {
    name: 'TunesmithGradNorm',
    run: (inputs) => tf.sqrt(tf.addN(Object.values(inputs).map((x) => tf.sum(tf.square(x))))),
  },
]
