import { IGNORE_INDEX, type TokenizedExample } from '@tunesmith/core'
import { checkTokenized } from '../tokenized'

/** Sequences end to end, without padding: what the model reads. */
export interface PackedBatch {
  /** `[tokens]` */
  inputIds: Int32Array
  /** `[tokens]`, shifted: `labels[t]` is the target of position `t`; the last position of each sequence has none (-100). */
  labels: Int32Array
  /** `[tokens]`, counting from 0 in each sequence. */
  positions: Int32Array
  /** `[sequences + 1]`: where each sequence starts, then the number of tokens. */
  cuSeqlens: Int32Array
  /** Tokens in the longest sequence. */
  maxSeqlen: number
  /** How many entries of `labels` are not -100. */
  numLabels: number
}

/**
 * Lays examples end to end. Attention, positions and targets never cross from one sequence into the next,
 * so a packed batch and a padded one give the same loss. Empty examples take no place in `cuSeqlens`.
 *
 * @throws {TunesmithError} `invalid_data` for an example whose ids and labels do not fit, or a negative label but -100.
 */
export function collate(examples: readonly TokenizedExample[]): PackedBatch {
  let tokens = 0
  let sequences = 0
  examples.forEach((example, index) => {
    checkTokenized(example, `example ${index} of the batch`)
    tokens += example.inputIds.length
    if (example.inputIds.length > 0) sequences++
  })
  const inputIds = new Int32Array(tokens)
  const labels = new Int32Array(tokens).fill(IGNORE_INDEX)
  const positions = new Int32Array(tokens)
  const cuSeqlens = new Int32Array(sequences + 1)
  let [offset, sequence, maxSeqlen, numLabels] = [0, 0, 0, 0]
  for (const example of examples) {
    const length = example.inputIds.length
    if (length === 0) continue
    inputIds.set(example.inputIds, offset)
    for (let t = 0; t < length; t++) {
      positions[offset + t] = t
      if (t + 1 === length) continue
      const target = example.labels[t + 1]!
      labels[offset + t] = target
      if (target !== IGNORE_INDEX) numLabels++
    }
    offset += length
    cuSeqlens[++sequence] = offset
    maxSeqlen = Math.max(maxSeqlen, length)
  }
  return { inputIds, labels, positions, cuSeqlens, maxSeqlen, numLabels }
}

export interface PaddedCollateOptions {
  /** The id that fills the shorter rows. */
  padTokenId: number
  /** Default right. */
  paddingSide?: 'left' | 'right'
  /** The length is rounded up to a multiple of this. Default 1. */
  padToMultipleOf?: number
}

/** A rectangle, as transformers' data collators make it; `labels` are not shifted. All arrays are `[rows * length]`, row by row. */
export interface PaddedBatch {
  rows: number
  length: number
  inputIds: Int32Array
  /** 1 on tokens, 0 on padding. */
  attentionMask: Int32Array
  /** Aligned with `inputIds`; -100 on padding. */
  labels: Int32Array
}

/** Pads examples to the longest of them, for models outside Tunesmith; ours read {@link collate}'s packed batches. */
export function collatePadded(
  examples: readonly TokenizedExample[],
  { padTokenId, paddingSide = 'right', padToMultipleOf = 1 }: PaddedCollateOptions,
): PaddedBatch {
  for (const [index, example] of examples.entries()) checkTokenized(example, `example ${index} of the batch`)
  const longest = examples.reduce((most, { inputIds }) => Math.max(most, inputIds.length), 0)
  const length = Math.ceil(longest / padToMultipleOf) * padToMultipleOf
  const rows = examples.length
  const inputIds = new Int32Array(rows * length).fill(padTokenId)
  const attentionMask = new Int32Array(rows * length)
  const labels = new Int32Array(rows * length).fill(IGNORE_INDEX)
  examples.forEach((example, row) => {
    const start = row * length + (paddingSide === 'left' ? length - example.inputIds.length : 0)
    inputIds.set(example.inputIds, start)
    labels.set(example.labels, start)
    attentionMask.fill(1, start, start + example.inputIds.length)
  })
  return { rows, length, inputIds, attentionMask, labels }
}
