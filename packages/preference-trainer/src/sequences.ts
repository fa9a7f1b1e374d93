import * as tf from '@tensorflow/tfjs-core'
import { withoutRecording } from '@tunesmith/backend'
import { collate, IGNORE_INDEX, type PackedBatch, type TokenizedExample } from '@tunesmith/datasets'
import { type CausalLM, createPass, type ForwardOptions } from '@tunesmith/models'

/** A prompt and an answer to it. */
export interface Answer extends TokenizedExample {
  inputIds: Int32Array
  /** Those of the answer; of the prompt too, where its likelihood is asked for. */
  labels: Int32Array
  /** Index of the row in the dataset. */
  row: number
  /** Tokens at the end that are the answer. */
  answerTokens: number
  /** The log-probability of the answer under the reference, once it is known. */
  ref?: number
}

/** The places of a packed batch whose prediction is a token of the answer, by sequence: from `start` up to `end`. */
interface Span {
  start: number
  end: number
}

export function answerSpans({ cuSeqlens }: Pick<PackedBatch, 'cuSeqlens'>, answers: readonly Answer[]): Span[] {
  return answers.map(({ answerTokens }, i) => {
    const [first, end] = [cuSeqlens[i]!, cuSeqlens[i + 1]! - 1]
    return { start: Math.max(first, end - answerTokens), end }
  })
}

/** Weights of tokens: `[sequences, tokens]`, each row with `weight(span)` on its span and zeros elsewhere. */
export function onSpans(tokens: number, spans: readonly Span[], weight: (span: Span) => number): tf.Tensor2D {
  const values = new Float32Array(spans.length * tokens)
  for (const [row, span] of spans.entries())
    values.fill(weight(span), row * tokens + span.start, row * tokens + Math.max(span.start, span.end))
  return tf.tensor2d(values, [spans.length, tokens])
}

/** Weighted sums over the tokens: weights `[sequences, tokens]` and values `[tokens]` to `[sequences]`. */
export const weightedSums = (weights: tf.Tensor2D, values: tf.Tensor1D): tf.Tensor1D =>
  tf.sum(tf.mul(weights, values), 1)

/** The mean of values `[tokens]` over all tokens of the spans; 0 where they have none. */
export function meanOver(spans: readonly Span[], values: tf.Tensor1D): tf.Scalar {
  const count = spans.reduce((sum, { start, end }) => sum + Math.max(0, end - start), 0)
  return tf.div(
    tf.sum(
      weightedSums(
        onSpans(values.size, spans, () => 1),
        values,
      ),
    ),
    Math.max(1, count),
  )
}

/** The places of every token that is predicted, prompts included. */
export const wholeSpans = ({ cuSeqlens }: Pick<PackedBatch, 'cuSeqlens'>): Span[] =>
  Array.from({ length: cuSeqlens.length - 1 }, (_, i) => ({ start: cuSeqlens[i]!, end: cuSeqlens[i + 1]! - 1 }))

/**
 * Weights whose sums are log-probabilities of answers. With `ldAlpha`, answers come in pairs, and what is beyond the length of the
 * shorter one of a pair weighs that much (Liu et al. 2024, arXiv:2409.06411).
 */
export function answerWeights(tokens: number, spans: readonly Span[], ldAlpha?: number): tf.Tensor2D {
  if (ldAlpha === undefined) return onSpans(tokens, spans, () => 1)
  const length = ({ start, end }: Span) => end - start
  const shared = spans.map((span, i) => Math.min(length(span), length(spans[i ^ 1]!)))
  const starts = spans.map(({ start }, i) => ({ start, end: start + shared[i]! }))
  const ends = spans.map(({ start, end }, i) => ({ start: start + shared[i]!, end }))
  return tf.add(
    onSpans(tokens, starts, () => 1),
    onSpans(tokens, ends, () => ldAlpha),
  )
}

/** The log-probabilities of answers, without gradients. */
export function answerLogProbs(model: CausalLM, answers: readonly Answer[], ldAlpha?: number): number[] {
  if (answers.length === 0) return []
  const batch = collate(answers.map((answer) => ({ ...answer, labels: answerLabels(answer) })))
  return withoutRecording(() =>
    tf.tidy(() => {
      const { logProbs } = model.tokenLogProbs(batch, batch.labels, { sharePrefixes: true })
      const weights = answerWeights(logProbs.size, answerSpans(batch, answers), ldAlpha)
      return Array.from(weightedSums(weights, logProbs).dataSync())
    }),
  )
}

/** The labels of the answer alone. */
export function answerLabels({ inputIds, answerTokens }: Pick<Answer, 'inputIds' | 'answerTokens'>): Int32Array {
  const labels = Int32Array.from(inputIds)
  return labels.fill(IGNORE_INDEX, 0, inputIds.length - answerTokens)
}

/** Rows whose logits exist at a time. */
const CHUNK = 256

/**
 * `log sum p^2` over the vocabulary at each labelled token, `[tokens]` and 0 elsewhere: how likely the model is to say the same thing
 * twice, with which WPO compares a token's log-probability. Without gradients.
 */
export function agreement(model: CausalLM, batch: PackedBatch, options: ForwardOptions): tf.Tensor1D {
  return withoutRecording(() =>
    tf.tidy(() => {
      const hidden = model.forward(batch, options)
      const pass = createPass(batch, options)
      const values = new Float32Array(batch.labels.length)
      const labelled = Array.from(batch.labels.keys()).filter((t) => batch.labels[t]! >= 0)
      for (let start = 0; start < labelled.length; start += CHUNK) {
        const rows = labelled.slice(start, start + CHUNK)
        const made = tf.tidy(() => {
          const logits = model.logits(tf.gather(hidden, tf.tensor1d(rows, 'int32')), pass)
          return tf.sub(tf.logSumExp(tf.mul(logits, 2), 1), tf.mul(tf.logSumExp(logits, 1), 2)).dataSync()
        })
        for (const [i, t] of rows.entries()) values[t] = made[i]!
      }
      return tf.tensor1d(values)
    }),
  )
}
