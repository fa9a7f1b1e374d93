import { z } from 'zod'
import { Vocabulary } from '../strings/ngrams'
import { rstrip } from '../strings/python'
import { countEdits } from './edit-rate'
import type { Arithmetic, CorpusMetric } from './metric'
import { formatSignature, referenceCount, resampleFields } from './signature'
import { tercomTokens } from './tercom-tokens'

/** sacrebleu's constructor arguments, same defaults. */
export const terShape = {
  /** Separate punctuation and undo XML escapes first. Default false. */
  normalized: z.boolean().default(false),
  /** Leave punctuation out. Default false. */
  noPunct: z.boolean().default(false),
  /** With the two above: treat Chinese and Japanese marks too. Default false. */
  asianSupport: z.boolean().default(false),
  /** Default false. */
  caseSensitive: z.boolean().default(false),
}
const terSchema = z.strictObject(terShape)
export type TerParams = z.output<typeof terSchema>

/** TER from `[edits, reference length]`: edits per 100 reference words. */
export function terFromSums(sums: ArrayLike<number>, arithmetic: Arithmetic = 'float64'): number {
  const round = arithmetic === 'float32' ? Math.fround : (x: number) => x
  if (sums[1] > 0) return round(100 * round(sums[0] / sums[1]))
  return sums[0] > 0 ? 100 : 0
}

/** @param params {@link terShape}, checked. */
export function terMetricFrom(params: TerParams): CorpusMetric {
  const yesNo = (value: boolean) => (value ? 'yes' : 'no')
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
    signature: (references, note = {}) =>
      formatSignature(
        [
          ['nrefs', referenceCount(references)],
          ...resampleFields(note),
          ['case', params.caseSensitive ? 'mixed' : 'lc'],
          ['tok', 'tercom'],
          ['norm', yesNo(params.normalized)],
          ['punct', yesNo(!params.noPunct)],
          ['asian', yesNo(params.asianSupport)],
        ],
        true,
      ),
  }
}
