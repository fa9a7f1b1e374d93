import { parseOptions } from '@tunesmith/core'
import { z } from 'zod'
import { pairsShape, readPairs } from '../strings/pairs'
import { bootstrapOption, type CorpusScore, scoreCorpus } from './corpus'
import type { CorpusMetric } from './metric'
import { terMetricFrom, terShape } from './ter-metric'

const corpusSchema = z.strictObject({ ...pairsShape, ...terShape, bootstrap: bootstrapOption })
const sentenceSchema = z.strictObject({
  prediction: z.string(),
  reference: z.union([z.string(), z.array(z.string()).min(1)]),
  ...terShape,
})
const metricSchema = z.strictObject(terShape)
export type TerOptions = z.input<typeof corpusSchema>
export type SentenceTerOptions = z.input<typeof sentenceSchema>

export interface TerResult extends CorpusScore {
  /** Insertions, deletions, substitutions and shifts, per row to the nearest reference. */
  numEdits: number
  /** Reference words; the mean over a row's references. */
  refLength: number
}

/**
 * Corpus translation edit rate with sacrebleu's numbers and signature: edits per 100 reference words, lower is better.
 * Where all references are empty it is 100 for any answer and 0 for none.
 *
 * @throws {TunesmithError} `invalid_options`, or `invalid_data` for no rows, different counts, a row without reference.
 */
export function ter(options: TerOptions): TerResult {
  const { predictions, references, bootstrap, ...params } = parseOptions(corpusSchema, options, 'ter')
  const pairs = readPairs({ predictions, references }, 'ter')
  const { sums, ...result } = scoreCorpus(terMetricFrom(params), pairs, bootstrap)
  return { ...result, numEdits: sums[0], refLength: sums[1] }
}

/** TER of one sentence. */
export function sentenceTer(options: SentenceTerOptions): number {
  const { prediction, reference, ...params } = parseOptions(sentenceSchema, options, 'sentenceTer')
  const metric = terMetricFrom(params)
  return metric.score(metric.statistics(prediction, [reference].flat()))
}

/** TER for {@link pairedTest} and other resampling. */
export function terMetric(options: z.input<typeof metricSchema> = {}): CorpusMetric {
  return terMetricFrom(parseOptions(metricSchema, options, 'terMetric'))
}
