import * as tf from '@tensorflow/tfjs-core'
import { isRecording, record, type TokenStatistics, valueAndGrads, withoutRecording } from '@tunesmith/backend'
import { invalidData, invalidOptions } from '@tunesmith/core'
import type { ComputeLoss } from './losses'

/** Rows whose logits exist at a time. */
const CHUNK = 256

/** A model's head of any form. */
export interface DifferentiableHead {
  /** hidden states `[rows, hidden]` to logits `[rows, vocab]`. */
  logits(hidden: tf.Tensor2D): tf.Tensor2D
  /** The trainable tensors that `logits` uses. */
  parameters: readonly tf.Tensor[]
}

export type TokenLosses = TokenStatistics & {
  /** `[tokens]`, differentiable; 0 and without a gradient where there is no label. */
  losses: tf.Tensor1D
  /** `[tokens]` negative log-likelihood of each label, 0 where there is none. Not differentiable. */
  nll: tf.Tensor1D
}

const ints = (values: number[] | Int32Array) => tf.tensor1d(values, 'int32')

/**
 * The loss of each labelled token for any head and any differentiable function of the logits, in chunks of labelled rows: no
 * `[tokens, vocab]` matrix exists.
 *
 * With a frozen head a token's loss depends on its own hidden state alone: the gradient of the sum is made with the losses, and
 * scaled row by row in the backward pass. With a trainable head the backward pass makes each chunk's logits again.
 *
 * @param hidden `[tokens, hidden]`
 * @param labels `[tokens]`, already shifted, -100 for none.
 * @throws {TunesmithError} `invalid_data` for a label outside the vocabulary, `invalid_options` when `computeLoss` does not
 *   return `[rows]`.
 */
export function tokenLosses(
  head: DifferentiableHead,
  hidden: tf.Tensor2D,
  labels: ArrayLike<number>,
  computeLoss: ComputeLoss,
): TokenLosses {
  const [tokens, width] = hidden.shape
  const labelled = Array.from({ length: tokens }, (_, t) => t).filter((t) => labels[t]! >= 0)
  const largest = labelled.reduce((largest, t) => Math.max(largest, labels[t]!), -1)
  const gradientAtOnce = isRecording() && head.parameters.length === 0

  const chunks = Array.from({ length: Math.ceil(labelled.length / CHUNK) }, (_, i) =>
    labelled.slice(i * CHUNK, (i + 1) * CHUNK),
  )

  /** What all chunks made, put at their tokens; zeros at the others. */
  const atTokens = (parts: tf.Tensor2D[], columns: number): tf.Tensor2D => {
    const places = new Int32Array(tokens).fill(labelled.length)
    for (const [place, t] of labelled.entries()) places[t] = place
    return tf.gather(tf.concat<tf.Tensor2D>([...parts, tf.zeros([1, columns])]), ints(places))
  }

  /** The losses of a chunk, differentiable, and `[rows, 4]` with the statistics. */
  const through = (x: tf.Tensor2D, rows: number[]): [losses: tf.Tensor1D, values: tf.Tensor2D] => {
    const targets = ints(rows.map((t) => labels[t]!))
    const logits = head.logits(x)
    if (largest >= logits.shape[1])
      throw invalidData(`The label ${largest} is outside the vocabulary of ${logits.shape[1]}`, {
        remedy: 'Use the tokenizer that belongs to this model',
      })
    const losses = checkedLosses(computeLoss(logits, targets), rows.length)
    return [losses, withoutRecording(() => tf.stack([losses, ...statistics(logits, targets)], 1) as tf.Tensor2D)]
  }

  function forward(): tf.Tensor[] {
    const [values, gradients]: [tf.Tensor2D[], tf.Tensor2D[]] = [[], []]
    for (const rows of chunks) {
      const x = tf.gather(hidden, ints(rows))
      if (!gradientAtOnce) {
        values.push(tf.tidy(() => through(x, rows)[1]))
        continue
      }
      const { kept, grads } = valueAndGrads(
        (keep) => {
          const [losses, values] = through(x, rows)
          keep(values)
          return tf.sum(losses)
        },
        [x],
      )
      values.push(kept[0] as tf.Tensor2D)
      gradients.push(grads[0] as tf.Tensor2D)
    }
    const columns = tf.unstack(atTokens(values, 4), 1)
    return gradientAtOnce ? [...columns, atTokens(gradients, width)] : columns
  }

  /** The gradients of the losses times `dy` `[tokens]`, by hidden states and parameters. */
  function backward(dy: tf.Tensor, x: tf.Tensor2D): tf.Tensor[] {
    const dHidden: tf.Tensor2D[] = []
    const dParameters: tf.Tensor[] = head.parameters.map((parameter) => tf.zerosLike(parameter))
    for (const rows of chunks) {
      const [part, weights] = [tf.gather(x, ints(rows)), tf.gather(dy, ints(rows))]
      const weighted = () => tf.sum(tf.mul(through(part, rows)[0], weights)) as tf.Scalar
      const [first, ...others] = tf.tidy(() => valueAndGrads(weighted, [part, ...head.parameters]).grads)
      dHidden.push(first as tf.Tensor2D)
      for (const [i, gradient] of others.entries()) {
        const before = dParameters[i]!
        dParameters[i] = tf.add(before, gradient)
        tf.dispose([before, gradient])
      }
    }
    return [atTokens(dHidden, width), ...dParameters]
  }

  const inputs = Object.fromEntries([hidden, ...head.parameters].map((tensor, i) => [`${i}`, tensor]))
  return tf.tidy(() => {
    const [losses, nll, entropy, correct] = record({
      name: 'TokenLosses',
      inputs,
      forward: () => tf.tidy(forward),
      save: (outputs) => [gradientAtOnce ? outputs.at(-1)! : hidden],
      gradient: (dy, [saved]) => {
        const gradients = gradientAtOnce ? [tf.mul(saved!, tf.expandDims(dy, 1))] : backward(dy, saved as tf.Tensor2D)
        return Object.fromEntries(gradients.map((gradient, i) => [`${i}`, () => gradient]))
      },
    }) as tf.Tensor1D[]
    return { losses: losses!, nll: nll!, entropy: entropy!, correct: correct! }
  })
}

/** Negative log-likelihood, entropy, and whether the label is the most likely token, `[rows]` each. */
function statistics(logits: tf.Tensor2D, labels: tf.Tensor1D): tf.Tensor[] {
  const logProbs = tf.logSoftmax(logits)
  const oneHot = tf.cast(tf.oneHot(labels, logits.shape[1]), 'float32')
  return [
    tf.neg(tf.sum(tf.mul(logProbs, oneHot), 1)),
    tf.neg(tf.sum(tf.mul(tf.exp(logProbs), logProbs), 1)),
    tf.cast(tf.equal(tf.argMax(logits, 1), labels), 'float32'),
  ]
}

function checkedLosses(losses: unknown, rows: number): tf.Tensor1D {
  if (losses instanceof tf.Tensor && losses.rank === 1 && losses.size === rows && losses.dtype === 'float32')
    return losses as tf.Tensor1D
  const got = losses instanceof tf.Tensor ? `a ${losses.dtype} tensor of shape [${losses.shape}]` : String(losses)
  throw invalidOptions(`computeLoss returned ${got}, not one float32 loss for each of ${rows} rows`, {
    where: 'computeLoss',
    remedy:
      'Return a tensor of shape [rows] without taking the mean or the sum; the trainer divides by the number of labels',
  })
}
