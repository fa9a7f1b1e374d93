import * as tf from '@tensorflow/tfjs-core'
import {
  checkpoint,
  IGNORE_INDEX,
  type LinearCrossEntropyOptions,
  type LinearCrossEntropyResult,
  withoutRecording,
} from '@tunesmith/backend'

/** Rows whose logits exist at a time. */
const CHUNK = 256

/**
 * `linearCrossEntropy` for a head that is more than one matrix, such as one with an adapter: any differentiable function
 * from hidden states to logits. Works in chunks over the labelled rows; each chunk's logits are computed again in the
 * backward pass, so that no `[tokens, vocab]` matrix exists.
 *
 * @param head hidden states `[rows, hidden]` to logits `[rows, vocab]`.
 * @param hidden `[tokens, hidden]`
 * @param labels `[tokens]`, already shifted, -100 for none.
 * @param parameters the trainable tensors that `head` uses.
 */
export function logitsCrossEntropy(
  head: (hidden: tf.Tensor2D) => tf.Tensor2D,
  hidden: tf.Tensor2D,
  labels: ArrayLike<number>,
  parameters: readonly tf.Tensor[],
  { labelSmoothing = 0, softcap = 0, mode = 'nll' }: LinearCrossEntropyOptions = {},
): LinearCrossEntropyResult {
  const rows = Array.from({ length: labels.length }, (_, t) => t).filter((t) => labels[t] !== IGNORE_INDEX)
  const nll = new Float32Array(labels.length)
  const entropy = new Float32Array(labels.length)
  const correct = new Float32Array(labels.length)
  const [loss] = tf.tidy(() => {
    let total: tf.Tensor = tf.scalar(0)
    for (let from = 0; from < rows.length; from += CHUNK) {
      const part = rows.slice(from, from + CHUNK)
      const targets = part.map((t) => labels[t]!)
      const chunk = (x: tf.Tensor2D): tf.Tensor2D =>
        tf.tidy(() => {
          const made = head(x)
          const logits = softcap > 0 ? tf.mul(tf.tanh(tf.div(made, softcap)), softcap) : made
          const logProbs = tf.logSoftmax(logits)
          const oneHot = withoutRecording(() => tf.oneHot(tf.tensor1d(targets, 'int32'), logits.shape[1]!))
          const losses = tf.neg(tf.sum(tf.mul(logProbs, tf.cast(oneHot, 'float32')), 1))
          withoutRecording(() => {
            const probs = tf.exp(logProbs)
            const best = tf.argMax(logits, 1).dataSync()
            const each = losses.dataSync()
            const spread = tf.neg(tf.sum(tf.mul(probs, logProbs), 1)).dataSync()
            part.forEach((t, i) => {
              nll[t] = each[i]!
              entropy[t] = spread[i]!
              correct[t] = best[i] === targets[i] ? 1 : 0
            })
          })
          const own =
            mode === 'dft'
              ? tf.mul(
                  losses,
                  withoutRecording(() => tf.exp(tf.neg(losses))),
                )
              : losses
          if (labelSmoothing === 0) return tf.reshape(tf.sum(own), [1, 1])
          const uniform = tf.neg(tf.mean(logProbs, 1))
          return tf.reshape(tf.sum(tf.add(tf.mul(own, 1 - labelSmoothing), tf.mul(uniform, labelSmoothing))), [1, 1])
        })
      const x = tf.gather(hidden, tf.tensor1d(part, 'int32'))
      total = tf.add(total, tf.reshape(checkpoint(chunk, x, parameters), []))
    }
    return [total as tf.Scalar]
  }) as [tf.Scalar]
  return { loss, nll: tf.tensor1d(nll), entropy: tf.tensor1d(entropy), correct: tf.tensor1d(correct) }
}
