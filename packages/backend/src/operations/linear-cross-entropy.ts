import * as tf from '@tensorflow/tfjs-core'
import { record } from '../autograd/record'
import type { KernelAttrs } from '../contract/kernels'
import { isRecording, runKernel } from '../engine'
import { type WeightMatrix, weightAttrs, weightInputs } from '../weights'

export interface LinearCrossEntropyOptions {
  /** Mixes the one-hot target with the uniform distribution. Default 0. */
  labelSmoothing?: number
  /** Logits become `softcap * tanh(logit / softcap)` (gemma2). 0 for none. Default 0. */
  softcap?: number
  /** `nll`, or `dft`: each token's loss times its own probability, not differentiated (Wu et al. 2025). Default `nll`. */
  mode?: 'nll' | 'dft'
}

export interface LinearCrossEntropyResult {
  /** Scalar, the sum over labelled tokens; divide by the number of labels of the whole accumulation window. */
  loss: tf.Scalar
  /** `[tokens]` negative log-likelihood of each label, 0 where there is none. */
  nll: tf.Tensor1D
  /** `[tokens]` entropy of the predicted distribution in nats, 0 where there is no label. */
  entropy: tf.Tensor1D
  /** `[tokens]` 1 where the most likely token is the label. */
  correct: tf.Tensor1D
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
  { labelSmoothing = 0, softcap = 0, mode = 'nll' }: LinearCrossEntropyOptions = {},
): LinearCrossEntropyResult {
  const trainsWeight = weight.weight instanceof tf.Variable && weight.weight.trainable
  const attrs: KernelAttrs<'LinearCrossEntropy'> = {
    ...weightAttrs(weight),
    labelSmoothing,
    softcap,
    mode,
    needsHiddenGrad: isRecording(),
    needsWeightGrad: isRecording() && trainsWeight,
  }
  const [loss, nll, entropy, correct, dHidden, dWeight] = record({
    name: 'LinearCrossEntropy',
    inputs: { hidden, ...(trainsWeight && { weight: weight.weight }) },
    forward: () => runKernel('TunesmithLinearCrossEntropy', { hidden, labels, ...weightInputs(weight) }, attrs),
    save: ([, , , , dHidden, dWeight]) => [dHidden!, dWeight!],
    gradient: (dy, [dHidden, dWeight]) => ({
      hidden: () => tf.mul(dHidden!, dy),
      weight: () => tf.mul(dWeight!, dy),
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
