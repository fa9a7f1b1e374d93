import { parseOptions } from '@tunesmith/core'
import { z } from 'zod'
import { Vocabulary } from '../strings/ngrams'
import { pairsShape, readPairs, sentenceShape } from '../strings/pairs'
import { rstrip } from '../strings/python'
import { bootstrapOption, type CorpusScore, scoreCorpus } from './corpus'
import { countEdits } from './edit-rate'
import type { Arithmetic, CorpusMetric } from './metric'
import { signatureOf } from './signature'
import { tercomTokens } from './tercom-tokens'

/** sacrebleu's constructor arguments, same defaults. */
const terShape = {
  /** Separate punctuation and undo XML escapes first. Default false. */
  normalized: z.boolean().default(false),
  /** Leave punctuation out. Default false. */
  noPunct: z.boolean().default(false),
  /** With the two above: treat Chinese and Japanese marks too. Default false. */
  asianSupport: z.boolean().default(false),
  /** Default false. */
  caseSensitive: z.boolean().default(false),
}
const metricSchema = z.strictObject(terShape)
const corpusSchema = z.strictObject({ ...pairsShape, ...terShape, bootstrap: bootstrapOption })
const sentenceSchema = z.strictObject({ ...sentenceShape, ...terShape })
export type TerOptions = z.input<typeof corpusSchema>
export type SentenceTerOptions = z.input<typeof sentenceSchema>

export interface TerResult extends CorpusScore {
  /** Insertions, deletions, substitutions and shifts, per row to the nearest reference. */
  numEdits: number
  /** Reference words; the mean over a row's references. */
  refLength: number
}

/** TER from `[edits, reference length]`: edits per 100 reference words. */
function terFromSums(sums: ArrayLike<number>, arithmetic: Arithmetic = 'float64'): number {
  const round = arithmetic === 'float32' ? Math.fround : (x: number) => x
  if (sums[1] > 0) return round(100 * round(sums[0] / sums[1]))
  return sums[0] > 0 ? 100 : 0
}

function metricFrom(params: z.output<typeof metricSchema>): CorpusMetric {
  const words = (text: string) => tercomTokens(rstrip(text), params)
  // sacrebleu tokenizes references twice, and normalization separates a little more the second time ("John's,").
  const referenceWords = (text: string) => (params.normalized ? words(words(text).join(' ')) : words(text))
  return {
    name: 'TER',
    higherIsBetter: false,
    statistics(prediction, references) {
      const vocabulary = new Vocabulary()
      const candidate = vocabulary.encode(words(prediction), true)
      let fewest = Number.POSITIVE_INFINITY
      let lengths = 0
      for (const text of references) {
        const reference = vocabulary.encode(referenceWords(text), true)
        fewest = Math.min(fewest, countEdits(candidate, reference))
        lengths += reference.length
      }
      return [fewest, lengths / references.length]
    },
    score: terFromSums,
    staysSingle: (sums) => sums[1] > 0,
    signature: signatureOf(
      [
        ['case', params.caseSensitive ? 'mixed' : 'lc'],
        ['tok', 'tercom'],
        ['norm', params.normalized],
        ['punct', !params.noPunct],
        ['asian', params.asianSupport],
      ],
      true,
    ),
  }
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
  const { sums, ...result } = scoreCorpus(metricFrom(params), pairs, bootstrap)
  return { ...result, numEdits: sums[0], refLength: sums[1] }
}

/** TER of one sentence. */
export function sentenceTer(options: SentenceTerOptions): number {
  const { prediction, reference, ...params } = parseOptions(sentenceSchema, options, 'sentenceTer')
  const metric = metricFrom(params)
  return metric.score(metric.statistics(prediction, [reference].flat()))
}

/** TER for {@link pairedTest} and other resampling. */
export function terMetric(options: z.input<typeof metricSchema> = {}): CorpusMetric {
  return metricFrom(parseOptions(metricSchema, options, 'terMetric'))
}
