import { parseOptions } from '@tunesmith/core'
import { z } from 'zod'
import { pairsShape, readPairs } from '../strings/pairs'
import { chrfMetricFrom, chrfShape } from './chrf-metric'
import { bootstrapOption, type CorpusScore, scoreCorpus } from './corpus'
import type { CorpusMetric } from './metric'

const corpusSchema = z.strictObject({ ...pairsShape, ...chrfShape, bootstrap: bootstrapOption })
const sentenceSchema = z.strictObject({
  prediction: z.string(),
  reference: z.union([z.string(), z.array(z.string()).min(1)]),
  ...chrfShape,
})
const metricSchema = z.strictObject(chrfShape)
export type ChrfOptions = z.input<typeof corpusSchema>
export type SentenceChrfOptions = z.input<typeof sentenceSchema>

/**
 * Corpus chrF; chrF++ with `wordOrder: 2`. sacrebleu's numbers and signature; 0 to 100.
 *
 * @throws {TunesmithError} `invalid_options`, or `invalid_data` for no rows, different counts, a row without reference.
 */
export function chrf(options: ChrfOptions): CorpusScore {
  const { predictions, references, bootstrap, ...params } = parseOptions(corpusSchema, options, 'chrf')
  const { sums: _, ...result } = scoreCorpus(
    chrfMetricFrom(params),
    readPairs({ predictions, references }, 'chrf'),
    bootstrap,
  )
  return result
}

/** chrF of one sentence, 0 to 100; the best of several references counts. */
export function sentenceChrf(options: SentenceChrfOptions): number {
  const { prediction, reference, ...params } = parseOptions(sentenceSchema, options, 'sentenceChrf')
  const metric = chrfMetricFrom(params)
  return metric.score(metric.statistics(prediction, [reference].flat()))
}

/** chrF for {@link pairedTest} and other resampling. */
export function chrfMetric(options: z.input<typeof metricSchema> = {}): CorpusMetric {
  return chrfMetricFrom(parseOptions(metricSchema, options, 'chrfMetric'))
}
