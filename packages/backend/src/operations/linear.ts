import * as tf from '@tensorflow/tfjs-core'
import { record } from '../autograd/record'
import { takeGradientSoFar } from '../autograd/value-and-grads'
import { runKernel } from '../engine'
import { type WeightMatrix, weightAttrs, weightInputs } from '../weights'

/**
 * A linear layer, `y = x W^T + bias`, with the weight in any format.
 *
 * The gradient of `x` is always there. A `f32` weight and the bias may be trained as well; packed weights are frozen.
 *
 * @param x `[tokens, in]`
 * @param bias `[out]`
 * @returns `[tokens, out]`
 */
export function linear(x: tf.Tensor2D, weight: WeightMatrix, bias?: tf.Tensor1D): tf.Tensor2D {
  const attrs = weightAttrs(weight)
  const tensors = weightInputs(weight)
  const trainable: Record<string, tf.Tensor> = weight.format === 'f32' ? { weight: weight.weight } : {}
  return record({
    name: 'Linear',
    inputs: { x, ...trainable, ...(bias && { bias }) },
    forward: () => runKernel('TunesmithLinear', { x, ...tensors, ...(bias && { bias }) }, attrs),
    // Only a weight gradient needs x; a frozen layer lets it go.
    save: (): tf.Tensor[] => (weight.weight instanceof tf.Variable && weight.weight.trainable ? [x] : []),
    gradient: (dy, [x]) => ({
      x: () => runKernel('TunesmithLinearGrad', { dy, ...tensors, ...takeGradientSoFar('x') }, attrs)[0]!,
      weight: () => runKernel('TunesmithLinearWeightGrad', { dy, x: x! })[0]!,
      bias: () => tf.sum(dy, 0),
    }),
  })[0] as tf.Tensor2D
}

/** Rows `[rowStart, rowEnd)` of a weight as float32 `[rows, in]`; for merging and inspecting, not for training. */
export function dequantize(weight: WeightMatrix, rowStart = 0, rowEnd = weight.outFeatures): tf.Tensor2D {
  const [rows] = runKernel('TunesmithDequantize', weightInputs(weight), { ...weightAttrs(weight), rowStart, rowEnd })
  return rows as tf.Tensor2D
}
