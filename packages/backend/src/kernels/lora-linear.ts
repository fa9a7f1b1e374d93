import * as tf from '@tensorflow/tfjs-core'
import { record } from '../autograd/record'
import { currentlyWanted, takeGradientSoFar } from '../autograd/value-and-grads'
import { runKernel } from '../engine'
import { times, timesTransposed, withAddend } from '../portable/matrix'
import type { PortableKernel } from '../portable/register'
import { type WeightAttrs, type WeightMatrix, weightAttrs, weightInputs } from '../weights'
import { timesMask } from './dropout'

export interface LoraLinearAttrs {
  /** `loraAlpha / r`, or what the variant makes of it. */
  scaling: number
  /** Probability of dropping an element of the low-rank branch's input. 0 when not training. */
  dropout: number
  /** Seed of the dropout mask; must differ from layer to layer and step to step. */
  seed: number
}

type KernelAttrs = LoraLinearAttrs & WeightAttrs

/** Which gradients `TunesmithLoraLinearGrad` computes; the others come out with no elements. */
export interface LoraLinearGradAttrs extends LoraLinearAttrs {
  needsInputGrad: boolean
  needsWeightGrad: boolean
}

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
  const all: KernelAttrs = { ...attrs, ...weightAttrs(weight) }
  const [y] = record({
    name: 'LoraLinear',
    inputs: { x, loraA, loraB, ...(bias && { bias }) },
    forward: () => runKernel('TunesmithLoraLinear', { x, ...tensors, loraA, loraB, ...(bias && { bias }) }, all),
    // A and B too: they may be computed ones, gone by the time of the backward pass.
    save: ([, xa]) => [x, xa!, loraA, loraB],
    gradient: (dy, [x, xa, keptA, keptB]) => {
      const run = (needsInputGrad: boolean, needsWeightGrad: boolean) => {
        const addend = needsInputGrad ? takeGradientSoFar('x') : {}
        const inputs = { dy, ...tensors, loraA: keptA!, loraB: keptB!, ...addend }
        const gradAttrs: KernelAttrs & LoraLinearGradAttrs = { ...all, needsInputGrad, needsWeightGrad }
        return runKernel('TunesmithLoraLinearGrad', needsWeightGrad ? { ...inputs, x: x!, xa: xa! } : inputs, gradAttrs)
      }
      // One call when both are known to be wanted: it reads dy once less, and multiplies it with B once.
      const weightsWanted = currentlyWanted('loraA') || currentlyWanted('loraB')
      const together = currentlyWanted('x') && weightsWanted ? run(true, true) : undefined
      let forWeights = together
      const weightGrads = () => {
        forWeights ??= run(false, true)
        return forWeights
      }
      return {
        x: () => (together ?? run(true, false))[0]!,
        loraA: () => weightGrads()[1]!,
        loraB: () => weightGrads()[2]!,
        bias: () => tf.sum(dy, 0),
      }
    },
  })
  return y as tf.Tensor2D
}

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
