import * as tf from '@tensorflow/tfjs-core'
import type { WeightAttrs } from '../weights'
import { dequantizeRows, times, timesTransposed, withAddend } from './matrix'
import type { PortableKernel } from './register'

export const linearKernels: PortableKernel<never>[] = [
  {
    name: 'TunesmithFrozenLinear',
    run: ({ x, bias, ...weight }, attrs: WeightAttrs) => {
      const y = timesTransposed(x as tf.Tensor2D, weight, attrs)
      return bias ? tf.add(y, bias) : y
    },
  },
  {
    name: 'TunesmithFrozenLinearGrad',
    run: ({ dy, addend, ...weight }, attrs: WeightAttrs) => withAddend(times(dy as tf.Tensor2D, weight, attrs), addend),
  },
  {
    name: 'TunesmithLinearWeightGrad',
    run: ({ dy, x }) => tf.matMul(dy as tf.Tensor2D, x as tf.Tensor2D, true, false),
  },
  {
    name: 'TunesmithDequantize',
    run: (weight, { rowStart, rowEnd, ...attrs }: WeightAttrs & { rowStart: number; rowEnd: number }) =>
      dequantizeRows(weight, attrs, rowStart, rowEnd),
  },
]
