import * as tf from '@tensorflow/tfjs-core'
import {
  type LinearCrossEntropyResult,
  linearCrossEntropy,
  type TokenLogProbs,
  tokenLogProbs,
  type WeightMatrix,
  withoutRecording,
} from '@tunesmith/backend'
import { labelLogProbs, nll, type TokenLoss } from './losses'
import { type DifferentiableHead, tokenLosses } from './token-losses'

/** A model's head, and what is known of it. */
export interface Head extends DifferentiableHead {
  /** `[vocab, hidden]` where the logits are the product with it; undefined with an adapter on the head. */
  weight: WeightMatrix | undefined
  /** Of the logits; see `linearCrossEntropy`. */
  softcap: number
}

const int32 = (labels: ArrayLike<number>) => tf.tensor1d(Int32Array.from(labels), 'int32')

/** The log-probability of each label `[tokens]`, by the fused kernel where the head is a frozen matrix, else in chunks. */
export function headLogProbs(head: Head, hidden: tf.Tensor2D, labels: ArrayLike<number>): TokenLogProbs {
  const { weight, softcap, parameters } = head
  if (weight && parameters.length === 0) return tokenLogProbs(hidden, weight, int32(labels), { softcap })
  const { losses, entropy, correct } = tokenLosses(head, hidden, labels, labelLogProbs)
  return { logProbs: losses, entropy, correct }
}

/** A loss summed over the labelled tokens; `nll` through the fused kernel where the head is a matrix, trained or not. */
export function headLoss(
  head: Head,
  hidden: tf.Tensor2D,
  labels: ArrayLike<number>,
  loss: TokenLoss = nll,
): LinearCrossEntropyResult {
  if (loss === nll && head.weight) return linearCrossEntropy(hidden, head.weight, int32(labels), head)
  if ('ofLogits' in loss) {
    const { losses, ...statistics } = tokenLosses(head, hidden, labels, loss.ofLogits)
    return { loss: tf.sum(losses), ...statistics }
  }
  const { logProbs, ...statistics } = headLogProbs(head, hidden, labels)
  return { loss: tf.sum(loss.ofLogProbs(logProbs)), nll: withoutRecording(() => tf.sub(0, logProbs)), ...statistics }
}
