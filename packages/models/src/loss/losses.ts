import * as tf from '@tensorflow/tfjs-core'
import { stopGradient } from '@tunesmith/backend'
import { invalidOptions } from '@tunesmith/core'

/**
 * A loss in plain TensorFlow.js.
 *
 * @param logits `[rows, vocab]` of some labelled tokens, soft-capped where the model does so.
 * @param labels int32 `[rows]`.
 * @returns `[rows]`, the loss of each token.
 */
export type ComputeLoss = (logits: tf.Tensor2D, labels: tf.Tensor1D) => tf.Tensor1D

/** What is minimised: a function of each label's log-probability, which needs no logits with a frozen head, or of the logits. */
export type TokenLoss = { ofLogProbs: (logProbs: tf.Tensor1D) => tf.Tensor1D } | { ofLogits: ComputeLoss }

/** The log-probability of each label, `[rows]`, for logits `[rows, vocab]` and labels int32 `[rows]`. */
export function labelLogProbs(logits: tf.Tensor2D, labels: tf.Tensor1D): tf.Tensor1D {
  const oneHot = tf.cast(tf.oneHot(labels, logits.shape[1]), 'float32')
  return tf.sum(tf.mul(tf.logSoftmax(logits), oneHot), 1)
}

/** Negative log-likelihood, the cross entropy with the label. */
export const nll: TokenLoss = { ofLogProbs: (logProbs) => tf.neg(logProbs) }

/** Dynamic fine-tuning (Wu et al. 2025): each token's loss times its own probability, which is not differentiated. */
export const dft: TokenLoss = {
  ofLogProbs: (logProbs) => tf.mul(tf.neg(logProbs), stopGradient(tf.exp(logProbs))),
}

/**
 * Label smoothing (Szegedy et al. 2016): `factor` of the target is the uniform distribution; `base` weighs the tokens.
 *
 * @throws {TunesmithError} `invalid_options` for a base other than {@link nll} and {@link dft}.
 */
export function labelSmoothing(factor: number, base: TokenLoss = nll): TokenLoss {
  if (base !== nll && base !== dft)
    throw invalidOptions('Label smoothing is known for nll and dft only', {
      where: 'labelSmoothing',
      remedy: 'Smooth inside of a loss of your own: { ofLogits(logits, labels) { ... } }',
    })
  return {
    ofLogits(logits, labels) {
      const logProbs = labelLogProbs(logits, labels)
      const uniform = tf.mean<tf.Tensor1D>(tf.logSoftmax(logits), 1)
      const smoothed: tf.Tensor1D = tf.add(tf.mul(logProbs, factor - 1), tf.mul(uniform, -factor))
      return base === dft ? tf.mul(smoothed, stopGradient(tf.exp(logProbs))) : smoothed
    },
  }
}
