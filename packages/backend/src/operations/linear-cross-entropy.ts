import * as tf from '@tensorflow/tfjs-core'
import { unsupported } from '@tunesmith/core'
import { record } from '../autograd/record'
import type { KernelAttrs } from '../contract/kernels'
import { isRecording, runKernel } from '../engine'
import { type WeightMatrix, weightAttrs, weightInputs } from '../weights'

export interface LinearCrossEntropyOptions {
  /** Logits become `softcap * tanh(logit / softcap)` (gemma2). 0 for none. Default 0. */
  softcap?: number
}

/** What the head predicts at each token, 0 where there is no label. Not differentiable. */
export type TokenStatistics = {
  /** `[tokens]` entropy of the predicted distribution in nats. */
  entropy: tf.Tensor1D
  /** `[tokens]` 1 where the most likely token is the label. */
  correct: tf.Tensor1D
}

export type LinearCrossEntropyResult = TokenStatistics & {
  /** Scalar, the sum over labelled tokens; divide by the number of labels of the whole accumulation window. */
  loss: tf.Scalar
  /** `[tokens]` negative log-likelihood of each label, 0 where there is none. */
  nll: tf.Tensor1D
}

export type TokenLogProbs = TokenStatistics & {
  /** `[tokens]` log-probability of each label, differentiable; 0 and without a gradient where there is no label. */
  logProbs: tf.Tensor1D
}

const trains = ({ weight }: WeightMatrix) => weight instanceof tf.Variable && weight.trainable

function runCrossEntropy(
  hidden: tf.Tensor2D,
  weight: WeightMatrix,
  labels: tf.Tensor1D,
  attrs: Pick<KernelAttrs<'LinearCrossEntropy'>, 'softcap' | 'needsHiddenGrad' | 'needsWeightGrad'>,
): tf.Tensor[] {
  const all: KernelAttrs<'LinearCrossEntropy'> = { ...weightAttrs(weight), ...attrs }
  return runKernel('TunesmithLinearCrossEntropy', { hidden, labels, ...weightInputs(weight) }, all)
}

/**
 * The language model's head and loss in one: from the final hidden states to the summed cross entropy.
 *
 * Works in chunks over labelled rows and computes the gradients in the same pass, so that no `[tokens, vocab]` matrix
 * exists and unlabelled tokens cost nothing.
 *
 * @param hidden `[tokens, hidden]`, after the final norm.
 * @param weight `[vocab, hidden]`; trained when it is a trainable variable.
 * @param labels int32 `[tokens]`, already shifted: the label of row `t` is the token after it, or -100.
 */
export function linearCrossEntropy(
  hidden: tf.Tensor2D,
  weight: WeightMatrix,
  labels: tf.Tensor1D,
  { softcap = 0 }: LinearCrossEntropyOptions = {},
): LinearCrossEntropyResult {
  const needsHiddenGrad = isRecording()
  const needsWeightGrad = needsHiddenGrad && trains(weight)
  const [loss, nll, entropy, correct, dHidden, dWeight] = record({
    name: 'LinearCrossEntropy',
    inputs: { hidden, ...(trains(weight) && { weight: weight.weight }) },
    forward: () => runCrossEntropy(hidden, weight, labels, { softcap, needsHiddenGrad, needsWeightGrad }),
    save: ([, , , , dHidden, dWeight]) => [dHidden!, dWeight!],
    gradient: (dy, [dHidden, dWeight]) => ({
      hidden: () => tf.mul(dHidden, dy),
      weight: () => tf.mul(dWeight, dy),
    }),
  })
  dHidden!.dispose()
  dWeight!.dispose()
  return {
    loss: loss as tf.Scalar,
    nll: nll as tf.Tensor1D,
    entropy: entropy as tf.Tensor1D,
    correct: correct as tf.Tensor1D,
  }
}

/**
 * The log-probability of each label under a frozen head, with the same kernel and memory as {@link linearCrossEntropy}. The loss of a
 * token depends on its own row of `hidden` alone, so the kernel's gradient of the sum is scaled row by row.
 *
 * @param hidden `[tokens, hidden]`, after the final norm.
 * @param weight `[vocab, hidden]`, frozen.
 * @param labels int32 `[tokens]`, already shifted, -100 for none.
 * @throws {TunesmithError} `unsupported` for a trainable weight, whose gradient is not a sum of scaled rows.
 */
export function tokenLogProbs(
  hidden: tf.Tensor2D,
  weight: WeightMatrix,
  labels: tf.Tensor1D,
  { softcap = 0 }: LinearCrossEntropyOptions = {},
): TokenLogProbs {
  const needsHiddenGrad = isRecording()
  if (needsHiddenGrad && trains(weight))
    throw unsupported('tokenLogProbs has no gradient for the weight of the head', {
      remedy: 'Use CausalLM.tokenLogProbs, which also takes trainable and adapted heads',
    })
  const [logProbs, entropy, correct, dHidden] = record({
    name: 'TokenLogProbs',
    inputs: { hidden },
    forward: () => {
      const attrs = { softcap, needsHiddenGrad, needsWeightGrad: false }
      const [loss, nll, entropy, correct, dHidden, dWeight] = runCrossEntropy(hidden, weight, labels, attrs)
      const logProbs = tf.tidy(() => tf.sub(0, nll!))
      tf.dispose([loss!, nll!, dWeight!])
      return [logProbs, entropy!, correct!, dHidden!]
    },
    save: ([, , , dHidden]) => [dHidden!],
    gradient: (dy, [dHidden]) => ({ hidden: () => tf.mul(dHidden, tf.expandDims(tf.neg(dy), 1)) }),
  })
  dHidden!.dispose()
  return { logProbs: logProbs as tf.Tensor1D, entropy: entropy as tf.Tensor1D, correct: correct as tf.Tensor1D }
}
