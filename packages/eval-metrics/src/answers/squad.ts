import { parseOptions } from '@tunesmith/core'
import { z } from 'zod'
import { clippedMatches } from '../strings/ngrams'
import { pairsShape, readPairs } from '../strings/pairs'
import { splitWhitespace } from '../strings/python'

const PUNCTUATION = /[!-/:-@[-`{-~]/g
// Python's \b sees Unicode letters, JavaScript's does not.
const ARTICLES = /(?<![\p{L}\p{N}_])(?:a|an|the)(?![\p{L}\p{N}_])/gu

/** SQuAD's normalization: lower case, no ASCII punctuation, no English articles, single blanks. */
export function normalizeAnswer(text: string): string {
  return splitWhitespace(text.toLowerCase().replace(PUNCTUATION, '').replace(ARTICLES, ' ')).join(' ')
}

const schema = z.strictObject({
  ...pairsShape,
  /** Compare normalized answers (default), or the texts as they are. */
  normalize: z.boolean().default(true),
})
export type AnswerOptions = z.input<typeof schema>

export interface AnswerScores {
  /** Mean over the rows, 0 to 1; SQuAD prints it times 100. */
  score: number
  /** One per row, 0 to 1; the best of several references. */
  rows: number[]
}

function best(
  options: AnswerOptions,
  where: string,
  compare: (prediction: string, reference: string) => number,
): AnswerScores {
  const { predictions, references, normalize } = parseOptions(schema, options, where)
  const pairs = readPairs({ predictions, references }, where)
  const clean = normalize ? normalizeAnswer : (text: string) => text
  const rows = pairs.predictions.map((prediction, row) => {
    const answer = clean(prediction)
    return Math.max(...pairs.references[row].map((reference) => compare(answer, clean(reference))))
  })
  return { score: rows.reduce((sum, x) => sum + x, 0) / rows.length, rows }
}

/**
 * Share of answers equal to a reference after SQuAD's normalization (P. Rajpurkar et al. 2016).
 *
 * @throws {TunesmithError} `invalid_data` for no rows, different counts, or a row without reference.
 */
export function exactMatch(options: AnswerOptions): AnswerScores {
  return best(options, 'exactMatch', (a, b) => (a === b ? 1 : 0))
}

/**
 * Overlap of the answers' words as F1 (SQuAD). When either side has no words left, as in SQuAD 2.0: 1 if both have none,
 * else 0.
 *
 * @throws {TunesmithError} as {@link exactMatch}.
 */
export function tokenF1(options: AnswerOptions): AnswerScores {
  return best(options, 'tokenF1', (prediction, reference) => {
    const predicted = splitWhitespace(prediction)
    const wanted = splitWhitespace(reference)
    if (predicted.length === 0 || wanted.length === 0) return predicted.length === wanted.length ? 1 : 0
    const [same] = clippedMatches(predicted, [wanted], 1)
    if (same === 0) return 0
    const precision = same / predicted.length
    const recall = same / wanted.length
    return (2 * precision * recall) / (precision + recall)
  })
}
