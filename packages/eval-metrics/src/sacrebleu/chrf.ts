import { parseOptions } from '@tunesmith/core'
import { z } from 'zod'
import { clippedMatches } from '../strings/ngrams'
import { pairsShape, readPairs, sentenceShape } from '../strings/pairs'
import { codePoints, splitWhitespace } from '../strings/python'
import { bootstrapOption, type CorpusScore, scoreCorpus } from './corpus'
import type { Arithmetic, CorpusMetric } from './metric'
import { signatureOf } from './signature'

/** sacrebleu's constructor arguments, same defaults. */
const chrfShape = {
  /** Longest character n-gram. Default 6. */
  charOrder: z.int().min(1).default(6),
  /** Longest word n-gram: 0 (default) is chrF, 1 chrF+, 2 chrF++. */
  wordOrder: z.int().min(0).default(0),
  /** How much recall weighs against precision. Default 2. */
  beta: z.number().gt(0).default(2),
  lowercase: z.boolean().default(false),
  /** Count white space as characters. Default false. */
  whitespace: z.boolean().default(false),
  /** Smooth empty orders with 1e-16 as chrF++.py, NLTK and Moses do, instead of leaving them out. Default false. */
  epsSmoothing: z.boolean().default(false),
}
const metricSchema = z.strictObject(chrfShape)
type ChrfParams = z.output<typeof metricSchema>
const corpusSchema = z.strictObject({ ...pairsShape, ...chrfShape, bootstrap: bootstrapOption })
const sentenceSchema = z.strictObject({ ...sentenceShape, ...chrfShape })
export type ChrfOptions = z.input<typeof corpusSchema>
export type SentenceChrfOptions = z.input<typeof sentenceSchema>

const PUNCTUATION = new Set('!"#$%&\'()*+,-./:;<=>?@[\\]^_`{|}~')
const EPSILON = 1e-16

/** Words with one punctuation mark at the end, or else at the start, as a word of its own. */
function separatePunctuation(text: string): string[] {
  return splitWhitespace(text).flatMap((word) => {
    if (word.length === 1) return [word]
    if (PUNCTUATION.has(word[word.length - 1])) return [word.slice(0, -1), word[word.length - 1]]
    return PUNCTUATION.has(word[0]) ? [word[0], word.slice(1)] : [word]
  })
}

/** A number that, in NumPy's eyes, is a float32 (`single`) or a plain Python float, which gives way to a float32. */
interface Value {
  x: number
  single: boolean
}

/** Adds, multiplies and divides as NumPy does when float32 and Python floats meet. */
function combine(a: Value, b: Value, operation: (x: number, y: number) => number): Value {
  const single = a.single || b.single
  return single
    ? { x: Math.fround(operation(Math.fround(a.x), Math.fround(b.x))), single }
    : { x: operation(a.x, b.x), single }
}
const plain = (x: number): Value => ({ x, single: false })
const plus = (x: number, y: number) => x + y
const times = (x: number, y: number) => x * y
const over = (x: number, y: number) => x / y

/**
 * chrF (M. Popović 2015, 2017) from counts `[predicted, wanted, matched]` per order.
 *
 * @returns the score, 0 to 100, as NumPy would hold it.
 */
function chrfFromSums(sums: ArrayLike<number>, params: ChrfParams, arithmetic: Arithmetic = 'float64'): Value {
  const single = arithmetic === 'float32'
  const factor = params.beta ** 2
  const orders = params.charOrder + params.wordOrder
  let smoothed = plain(0)
  let precisions = plain(0)
  let recalls = plain(0)
  let effective = 0
  for (let i = 0; i < orders; i++) {
    const [predicted, wanted, matched] = [0, 1, 2].map((k): Value => ({ x: sums[3 * i + k], single }))
    const precision = predicted.x > 0 ? combine(matched, predicted, over) : plain(EPSILON)
    const recall = wanted.x > 0 ? combine(matched, wanted, over) : plain(EPSILON)
    if (params.epsSmoothing) {
      const scaled = combine(plain(factor), precision, times)
      const denominator = combine(scaled, recall, plus)
      const product = combine(combine(plain(1 + factor), precision, times), recall, times)
      smoothed = combine(smoothed, denominator.x > 0 ? combine(product, denominator, over) : plain(EPSILON), plus)
    } else if (predicted.x > 0 && wanted.x > 0) {
      precisions = combine(precisions, precision, plus)
      recalls = combine(recalls, recall, plus)
      effective++
    }
  }
  if (params.epsSmoothing) return combine(combine(plain(100), smoothed, times), plain(orders), over)
  if (effective === 0) return plain(0)
  const precision = combine(precisions, plain(effective), over)
  const recall = combine(recalls, plain(effective), over)
  if (precision.x + recall.x === 0) return plain(0)
  const product = combine(combine(plain(1 + factor), precision, times), recall, times)
  const denominator = combine(combine(plain(factor), precision, times), recall, plus)
  return combine(plain(100), combine(product, denominator, over), times)
}

function metricFrom(params: ChrfParams): CorpusMetric {
  const { charOrder, wordOrder, lowercase, whitespace, epsSmoothing, beta } = params
  const read = (text: string) => {
    const cased = lowercase ? text.toLowerCase() : text
    return {
      characters: codePoints(whitespace ? cased : splitWhitespace(cased).join('')),
      words: wordOrder > 0 ? separatePunctuation(cased) : [],
    }
  }
  type Read = ReturnType<typeof read>
  const triples = (candidate: readonly string[], reference: readonly string[], maxOrder: number) =>
    clippedMatches(candidate, [reference], maxOrder).flatMap((matched, i) => {
      const wanted = Math.max(0, reference.length - i)
      // An order the reference is too short for does not count against the prediction.
      return [wanted > 0 ? Math.max(0, candidate.length - i) : 0, wanted, matched]
    })
  const against = (candidate: Read, reference: Read) => [
    ...triples(candidate.characters, reference.characters, charOrder),
    ...triples(candidate.words, reference.words, wordOrder),
  ]
  return {
    name: `chrF${beta}${'+'.repeat(wordOrder)}`,
    higherIsBetter: true,
    statistics(prediction, references) {
      const candidate = read(prediction)
      let best: number[] = []
      let bestScore = -1
      for (const reference of references) {
        const counts = against(candidate, read(reference))
        const score = chrfFromSums(counts, params).x
        if (score > bestScore) [best, bestScore] = [counts, score]
      }
      return best
    },
    score: (sums, arithmetic) => chrfFromSums(sums, params, arithmetic).x,
    staysSingle: (sums) => chrfFromSums(sums, params, 'float32').single,
    signature: signatureOf([
      ['case', lowercase ? 'lc' : 'mixed'],
      ['eff', !epsSmoothing],
      ['nc', charOrder],
      ['nw', wordOrder],
      ['space', whitespace],
    ]),
  }
}

/**
 * Corpus chrF; chrF++ with `wordOrder: 2`. sacrebleu's numbers and signature; 0 to 100.
 *
 * @throws {TunesmithError} `invalid_options`, or `invalid_data` for no rows, different counts, a row without reference.
 */
export function chrf(options: ChrfOptions): CorpusScore {
  const { predictions, references, bootstrap, ...params } = parseOptions(corpusSchema, options, 'chrf')
  const pairs = readPairs({ predictions, references }, 'chrf')
  const { sums: _, ...result } = scoreCorpus(metricFrom(params), pairs, bootstrap)
  return result
}

/** chrF of one sentence, 0 to 100; the best of several references counts. */
export function sentenceChrf(options: SentenceChrfOptions): number {
  const { prediction, reference, ...params } = parseOptions(sentenceSchema, options, 'sentenceChrf')
  const metric = metricFrom(params)
  return metric.score(metric.statistics(prediction, [reference].flat()))
}

/** chrF for {@link pairedTest} and other resampling. */
export function chrfMetric(options: z.input<typeof metricSchema> = {}): CorpusMetric {
  return metricFrom(parseOptions(metricSchema, options, 'chrfMetric'))
}
