import { invalidData, invalidOptions, parseOptions, TunesmithError } from '@tunesmith/core'
import { z } from 'zod'

const schema = z.strictObject({
  /** Per row the natural log probability of each scored token, at most 0. */
  logProbs: z
    .array(z.custom<ArrayLike<number>>((row) => typeof (row as ArrayLike<number>)?.length === 'number'))
    .optional(),
  /** Instead: per row the summed negative log likelihood in nats, with `tokens`. */
  losses: z.array(z.number()).optional(),
  /** Scored tokens per row. */
  tokens: z.array(z.int().min(0)).optional(),
  /** The scored texts, or their lengths in UTF-8 bytes; needed for bits per byte. */
  texts: z.array(z.string()).optional(),
  bytes: z.array(z.int().min(0)).optional(),
})
export type PerplexityOptions = z.input<typeof schema>

export interface PerplexityResult {
  /** exp of the mean negative log likelihood per token, over all tokens of all rows. */
  perplexity: number
  /** Mean negative log likelihood per token, in nats. */
  loss: number
  /** Bits needed per byte of text; comparable between tokenizers, which perplexity is not. Null without texts. */
  bitsPerByte: number | null
  /** Perplexity of each row alone; NaN for a row without tokens. */
  rows: number[]
  tokens: number
}

/**
 * Perplexity and bits per byte from token log probabilities, or from summed losses.
 *
 * @throws {TunesmithError} `invalid_options` when neither input or both are given; `invalid_data` for different counts or
 *   no tokens at all; `numerical` for a log probability above 0 or not a number.
 */
export function perplexity(options: PerplexityOptions): PerplexityResult {
  const where = 'perplexity'
  const { logProbs, losses, tokens, texts, bytes } = parseOptions(schema, options, where)
  if ((logProbs === undefined) === (losses === undefined) || (losses === undefined) !== (tokens === undefined)) {
    throw invalidOptions('Give either logProbs, or losses together with tokens', { where })
  }
  const sums = losses ?? (logProbs ?? []).map((row) => Array.from(row).reduce((sum, x) => sum - x, 0))
  const counts = tokens ?? (logProbs ?? []).map((row) => row.length)
  const sizes = bytes ?? texts?.map((text) => Buffer.byteLength(text))
  if (counts.length !== sums.length || (sizes && sizes.length !== sums.length)) {
    throw invalidData('The inputs have different numbers of rows', { where })
  }
  const bad = sums.findIndex(
    (sum, row) => Number.isNaN(sum) || sum < 0 || (logProbs && Array.from(logProbs[row]).some((x) => !(x <= 0))),
  )
  if (bad !== -1) {
    throw new TunesmithError('A log probability is above 0 or not a number', {
      code: 'numerical',
      where: `${where}, row ${bad}`,
      remedy: 'Pass natural logarithms of probabilities, not logits or probabilities',
    })
  }
  const add = (values: number[]) => values.reduce((sum, x) => sum + x, 0)
  const total = add(counts)
  if (total === 0) throw invalidData('There is no token to score', { where })
  const nats = add(sums)
  const size = sizes ? add(sizes) : 0
  return {
    perplexity: Math.exp(nats / total),
    loss: nats / total,
    bitsPerByte: size > 0 ? nats / Math.LN2 / size : null,
    rows: sums.map((sum, row) => Math.exp(sum / counts[row])),
    tokens: total,
  }
}
