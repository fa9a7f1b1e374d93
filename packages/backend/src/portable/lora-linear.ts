import * as tf from '@tensorflow/tfjs-core'
import type { LoraLinearAttrs, LoraLinearGradAttrs } from '../contract/attributes'
import type { WeightAttrs } from '../weights'
import { timesMask } from './dropout'
import { times, timesTransposed, withAddend } from './matrix'
import type { PortableKernel } from './register'

type KernelAttrs = LoraLinearAttrs & WeightAttrs

function dropped(x: tf.Tensor2D, { dropout, seed }: LoraLinearAttrs): tf.Tensor2D {
  return dropout > 0 ? timesMask(x, { rate: dropout, seed }) : x
}

export const loraLinearKernels: PortableKernel<never>[] = [
  {
    name: 'TunesmithLoraLinear',
    run: ({ x, bias, loraA, loraB, ...weight }, attrs: KernelAttrs) => {
      const xa = tf.matMul(dropped(x as tf.Tensor2D, attrs), loraA as tf.Tensor2D, false, true)
      const update = tf.mul(tf.matMul(xa, loraB as tf.Tensor2D, false, true), attrs.scaling)
      const y = tf.add(timesTransposed(x as tf.Tensor2D, weight, attrs), update)
      return [bias ? tf.add(y, bias) : y, xa]
    },
  },
  {
    name: 'TunesmithLoraLinearGrad',
    run: ({ dy, x, xa, addend, loraA, loraB, ...weight }, attrs: KernelAttrs & LoraLinearGradAttrs) => {
      const low = tf.mul(tf.matMul(dy as tf.Tensor2D, loraB as tf.Tensor2D), attrs.scaling)
      const inputGrad = () => {
        const update = dropped(tf.matMul(low as tf.Tensor2D, loraA as tf.Tensor2D), attrs)
        return withAddend(tf.add(times(dy as tf.Tensor2D, weight, attrs), update), addend)
      }
      const none = () => tf.zeros([0])
      if (!attrs.needsWeightGrad) return [inputGrad(), none(), none()]
      const dA = tf.matMul(low as tf.Tensor2D, dropped(x as tf.Tensor2D, attrs), true, false)
      const dB = tf.mul(tf.matMul(dy as tf.Tensor2D, xa as tf.Tensor2D, true, false), attrs.scaling)
      return [attrs.needsInputGrad ? inputGrad() : none(), dA, dB]
    },
  },
]
