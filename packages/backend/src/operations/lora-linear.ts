import * as tf from '@tensorflow/tfjs-core'
import { once, record } from '../autograd/record'
import { currentlyWanted, takeGradientSoFar } from '../autograd/value-and-grads'
import type { LoraLinearAttrs } from '../contract/attributes'
import type { KernelAttrs } from '../contract/kernels'
import { runKernel } from '../engine'
import { type WeightMatrix, weightAttrs, weightInputs } from '../weights'

/**
 * A frozen linear layer and its low-rank update in one node, `y = x W^T + bias + scaling (drop(x) A^T) B^T`
 * (Hu et al. 2021). Neither `B A` nor a gradient of `W` is ever formed.
 *
 * @param x `[tokens, in]`
 * @param loraA `[r, in]`
 * @param loraB `[out, r]`
 * @returns `[tokens, out]`
 */
export function loraLinear(
  x: tf.Tensor2D,
  weight: WeightMatrix,
  loraA: tf.Tensor2D,
  loraB: tf.Tensor2D,
  attrs: LoraLinearAttrs,
  bias?: tf.Tensor1D,
): tf.Tensor2D {
  const tensors = weightInputs(weight)
  const all = { ...attrs, ...weightAttrs(weight) }
  return record({
    name: 'LoraLinear',
    inputs: { x, loraA, loraB, ...(bias && { bias }) },
    forward: () => runKernel('TunesmithLoraLinear', { x, ...tensors, loraA, loraB, ...(bias && { bias }) }, all),
    // A and B too: they may be computed ones, gone by the time of the backward pass.
    save: ([, xa]) => [x, xa!, loraA, loraB],
    gradient: (dy, [x, xa, loraA, loraB]) => {
      const run = (needsInputGrad: boolean, needsWeightGrad: boolean) => {
        const addend = needsInputGrad ? takeGradientSoFar('x') : {}
        const inputs = { dy, ...tensors, loraA, loraB, ...addend }
        const gradAttrs: KernelAttrs<'LoraLinearGrad'> = { ...all, needsInputGrad, needsWeightGrad }
        return runKernel('TunesmithLoraLinearGrad', needsWeightGrad ? { ...inputs, x, xa } : inputs, gradAttrs)
      }
      // One call when both are known to be wanted: it reads dy once less, and multiplies it with B once.
      const weightsWanted = currentlyWanted('loraA') || currentlyWanted('loraB')
      const together = currentlyWanted('x') && weightsWanted ? run(true, true) : undefined
      const weightGrads = once(() => together ?? run(false, true))
      return {
        x: () => (together ?? run(true, false))[0]!,
        loraA: () => weightGrads()[1]!,
        loraB: () => weightGrads()[2]!,
        bias: () => tf.sum(dy, 0),
      }
    },
  })[0] as tf.Tensor2D
}
