import { parseOptions } from '@tunesmith/core'
import { z } from 'zod'
import { pairsShape, readPairs } from '../strings/pairs'
import { formatFixed } from '../strings/python'
import { type BleuParts, bleuFromSums, bleuMetricFrom, bleuShape } from './bleu-metric'
import { bootstrapOption, type CorpusScore, scoreCorpus } from './corpus'
import type { CorpusMetric } from './metric'

const corpusSchema = z.strictObject({ ...pairsShape, ...bleuShape, bootstrap: bootstrapOption })
const sentenceSchema = z.strictObject({
  prediction: z.string(),
  reference: z.union([z.string(), z.array(z.string()).min(1)]),
  ...bleuShape,
  effectiveOrder: z.boolean().default(true),
})
const metricSchema = z.strictObject(bleuShape)
export type BleuOptions = z.input<typeof corpusSchema>
export type SentenceBleuOptions = z.input<typeof sentenceSchema>

export interface BleuResult extends CorpusScore, BleuParts {}

/**
 * Corpus BLEU with sacrebleu's numbers, text line and signature.
 *
 * An empty prediction counts as length 0; a corpus without a single matched word scores 0.
 *
 * @throws {TunesmithError} `invalid_options`, or `invalid_data` for no rows, different counts, a row without reference.
 */
export function bleu(options: BleuOptions): BleuResult {
  const { predictions, references, bootstrap, ...params } = parseOptions(corpusSchema, options, 'bleu')
  const pairs = readPairs({ predictions, references }, 'bleu')
  const { sums, ...result } = scoreCorpus(bleuMetricFrom(params), pairs, bootstrap, (totals) =>
    describe(bleuFromSums(totals, params)),
  )
  return { ...result, ...bleuFromSums(sums, params) }
}

/**
 * BLEU of one sentence; `effectiveOrder` is on by default, as sacrebleu recommends for single sentences.
 */
export function sentenceBleu(options: SentenceBleuOptions): BleuParts {
  const { prediction, reference, ...params } = parseOptions(sentenceSchema, options, 'sentenceBleu')
  const references = typeof reference === 'string' ? [reference] : reference
  return bleuFromSums(bleuMetricFrom(params).statistics(prediction, references), params)
}

/** BLEU for {@link pairedTest} and other resampling. */
export function bleuMetric(options: z.input<typeof metricSchema> = {}): CorpusMetric {
  return bleuMetricFrom(parseOptions(metricSchema, options, 'bleuMetric'))
}

function describe({ precisions, bp, sysLen, refLen }: BleuParts): string {
  const ratio = refLen === 0 ? 0 : sysLen / refLen
  const list = precisions.map((precision) => formatFixed(precision, 1)).join('/')
  return `${list} (BP = ${formatFixed(bp, 3)} ratio = ${formatFixed(ratio, 3)} hyp_len = ${sysLen} ref_len = ${refLen})`
}
