import * as tf from '@tensorflow/tfjs-core'
import { type ComputeLoss, labelLogProbs } from '@tunesmith/models'

/** The focal loss (Lin et al. 2017) with gamma 2: tokens that the model knows well count less. */
export const focalLoss: ComputeLoss = (logits, labels) => {
  const logProbs = labelLogProbs(logits, labels)
  const doubt = tf.sub(1, tf.exp(logProbs))
  return tf.mul(tf.neg(logProbs), tf.square(doubt))
}
