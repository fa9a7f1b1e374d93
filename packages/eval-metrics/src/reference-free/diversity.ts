import { parseOptions } from '@tunesmith/core'
import { z } from 'zod'
import { NgramIndex, Vocabulary } from '../strings/ngrams'
import { pairsShape, readPairs } from '../strings/pairs'

/** Lower-case words; every mark that is neither letter, digit nor mark on one separates. */
function textWords(text: string): string[] {
  return text.toLowerCase().match(/[\p{L}\p{N}\p{M}_]+(?:['’][\p{L}\p{M}]+)*/gu) ?? []
}

const schema = z.strictObject({
  predictions: z.array(z.string()),
  /** N-gram lengths. Default 1, 2 and 3 for distinctN; repetition uses its own. */
  orders: z.array(z.int().min(1)).min(1).optional(),
})

/** N-gram ids of several texts, equal for equal n-grams. */
function gramIds(texts: readonly (readonly string[])[], order: number): Int32Array[] {
  const vocabulary = new Vocabulary()
  const words = texts.map((text) => vocabulary.encode(text, true))
  const index = new NgramIndex(vocabulary.size)
  return words.map((ids) => {
    let grams = ids
    for (let n = 2; n <= order; n++) grams = index.extend(grams, ids, n, true)
    return grams
  })
}

/**
 * Distinct-n (J. Li et al. 2016): different n-grams over all n-grams, in all texts together. 0 without any n-gram.
 *
 * @returns one value per order, `result[2]` for bigrams.
 */
export function distinctN(options: z.input<typeof schema>): Record<number, number> {
  const { predictions, orders = [1, 2, 3] } = parseOptions(schema, options, 'distinctN')
  const words = predictions.map(textWords)
  return Object.fromEntries(
    orders.map((order) => {
      const seen = new Set<number>()
      let total = 0
      for (const grams of gramIds(words, order)) {
        total += grams.length
        for (const gram of grams) seen.add(gram)
      }
      return [order, total === 0 ? 0 : seen.size / total]
    }),
  )
}

/**
 * Repetition (seq-rep-n of S. Welleck et al. 2020): per text the share of n-grams that repeat an earlier one.
 * A text too short for an n-gram repeats nothing.
 *
 * @param options `orders` takes one n; default 4. @returns the mean and one value per row, 0 to 1.
 */
export function repetition(options: z.input<typeof schema>): { score: number; rows: number[] } {
  const { predictions, orders = [4] } = parseOptions(schema, options, 'repetition')
  const rows = predictions.map((text) => {
    const [grams] = gramIds([textWords(text)], orders[0])
    return grams.length === 0 ? 0 : 1 - new Set(grams).size / grams.length
  })
  return { score: rows.length === 0 ? 0 : rows.reduce((sum, x) => sum + x, 0) / rows.length, rows }
}

const lengthSchema = z.strictObject(pairsShape)

/**
 * Words in the predictions over words in the references: 1 is as long as wanted. With several references the one nearest
 * in length counts. A row whose reference is empty is 1 when the prediction is empty too, else NaN.
 *
 * @returns `score` from the words of all rows together, and one ratio per row.
 */
export function lengthRatio(options: z.input<typeof lengthSchema>): { score: number; rows: number[] } {
  const { predictions, references } = readPairs(parseOptions(lengthSchema, options, 'lengthRatio'), 'lengthRatio')
  let [ours, wanted] = [0, 0]
  const rows = predictions.map((prediction, row) => {
    const length = textWords(prediction).length
    const lengths = references[row].map((text) => textWords(text).length)
    const nearest = lengths.reduce((a, b) => (Math.abs(b - length) < Math.abs(a - length) ? b : a))
    ours += length
    wanted += nearest
    return nearest === 0 ? (length === 0 ? 1 : Number.NaN) : length / nearest
  })
  return { score: wanted === 0 ? (ours === 0 ? 1 : Number.NaN) : ours / wanted, rows }
}
