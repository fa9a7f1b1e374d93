import { parseOptions } from '@tunesmith/core'
import { z } from 'zod'
import { Mt19937 } from '../random/mt19937'
import { percentile } from '../significance/percentile'
import { Vocabulary } from '../strings/ngrams'
import { pairsShape, readPairs, sentenceShape } from '../strings/pairs'
import {
  ROUGE_TYPES,
  type RougeScore,
  type RougeType,
  scoreLcs,
  scoreNgrams,
  scoreSummaryLcs,
  type WordIds,
} from './score'
import { splitSentences } from './sentences'
import { rougeTokens } from './tokenize'

const scoringShape = {
  /** Which variants, in the order wanted. Default rouge1, rouge2, rougeL, rougeLsum. */
  rougeTypes: z.array(z.enum(ROUGE_TYPES)).min(1).default(['rouge1', 'rouge2', 'rougeL', 'rougeLsum']),
  /** Reduce words of more than three letters to their Porter stem. Default false. */
  useStemmer: z.boolean().default(false),
  /** For rougeLsum, split texts into sentences instead of trusting their line breaks. Default false. */
  splitSummaries: z.boolean().default(false),
}

const bootstrapSchema = z.strictObject({
  /** Resamples. Default 1000. */
  samples: z.int().min(1).default(1000),
  /** Share of the resampled means inside the interval. Default 0.95. */
  confidence: z.number().gt(0).lt(1).default(0.95),
  /** Seed of NumPy's legacy generator, as `numpy.random.seed(seed)` before rouge_score's aggregator. Default 12345. */
  seed: z.int().min(0).max(0xffffffff).default(12345),
})

const rougeSchema = z.strictObject({
  ...pairsShape,
  ...scoringShape,
  /** Resampled intervals of the means; `false` (default) leaves them out, `true` takes the defaults. */
  bootstrap: z.union([z.boolean(), bootstrapSchema]).default(false),
})
export type RougeOptions = z.input<typeof rougeSchema>

const pairSchema = z.strictObject({ ...sentenceShape, ...scoringShape })
export type RougePairOptions = z.input<typeof pairSchema>

/** Low end, median and high end of the resampled means, each measure on its own. */
export interface RougeInterval {
  low: RougeScore
  mid: RougeScore
  high: RougeScore
}

export interface RougeResult {
  /** Scores per row, `scores[type][row]`. */
  scores: Partial<Record<RougeType, RougeScore[]>>
  /** Plain means over the rows. */
  mean: Partial<Record<RougeType, RougeScore>>
  /** With `bootstrap`: rouge_score's aggregate. */
  aggregate?: Partial<Record<RougeType, RougeInterval>>
}

type Scoring = z.output<z.ZodObject<typeof scoringShape>>

function prepare(text: string, { rougeTypes, useStemmer, splitSummaries }: Scoring, vocabulary: Vocabulary): WordIds {
  const encode = (part: string) => vocabulary.encode(rougeTokens(part, useStemmer), true)
  if (!rougeTypes.includes('rougeLsum')) return { words: encode(text), lines: [] }
  const lines = (splitSummaries ? splitSentences(text) : text.split('\n')).map(encode)
  if (lines.length === 1) return { words: lines[0], lines }
  // A break between lines separates words like any other mark, so the lines' words together are the text's words.
  const words = new Int32Array(lines.reduce((sum, line) => sum + line.length, 0))
  let at = 0
  for (const line of lines) {
    words.set(line, at)
    at += line.length
  }
  return { words, lines }
}

function scorePair(target: WordIds, prediction: WordIds, size: number, types: readonly RougeType[]): RougeScore[] {
  const orders = types.map((type) => Number(type.slice(5)) || 0)
  const grams = scoreNgrams(target, prediction, size, Math.max(...orders))
  return types.map((type, i) => {
    if (orders[i] > 0) return grams[orders[i] - 1]
    return type === 'rougeL' ? scoreLcs(target, prediction, size) : scoreSummaryLcs(target, prediction, size)
  })
}

function scoreRow(prediction: string, references: readonly string[], scoring: Scoring): RougeScore[] {
  const vocabulary = new Vocabulary()
  const predicted = prepare(prediction, scoring, vocabulary)
  let best: RougeScore[] | undefined
  for (const reference of references) {
    const target = prepare(reference, scoring, vocabulary)
    const scores = scorePair(target, predicted, vocabulary.size, scoring.rougeTypes)
    best = best?.map((known, i) => (scores[i].fmeasure > known.fmeasure ? scores[i] : known)) ?? scores
  }
  return best ?? []
}

const MEASURES = ['precision', 'recall', 'fmeasure'] as const

/**
 * ROUGE of one prediction; of several references the one with the best F-measure counts, per variant.
 *
 * @returns per requested variant precision, recall and F-measure in [0, 1]; an empty side scores 0.
 * Agrees with rouge_score's `RougeScorer.score` and `score_multi`.
 */
export function rougeScore(options: RougePairOptions): Partial<Record<RougeType, RougeScore>> {
  const { prediction, reference, ...scoring } = parseOptions(pairSchema, options, 'rougeScore')
  const scores = scoreRow(prediction, [reference].flat(), scoring)
  return Object.fromEntries(scoring.rougeTypes.map((type, i) => [type, scores[i]]))
}

/**
 * ROUGE of many predictions: per row, on average and, on request, with bootstrap intervals of the averages.
 * Agrees with rouge_score (C.-Y. Lin, "ROUGE: a package for automatic evaluation of summaries", 2004), including its
 * `BootstrapAggregator` for the same NumPy seed and the same order of `rougeTypes`.
 *
 * @throws {TunesmithError} `invalid_options`, or `invalid_data` for no rows or different counts.
 */
export function rouge(options: RougeOptions): RougeResult {
  const { bootstrap, predictions, references, ...scoring } = parseOptions(rougeSchema, options, 'rouge')
  const pairs = readPairs({ predictions, references }, 'rouge')
  const types = scoring.rougeTypes
  const rows = pairs.predictions.map((prediction, row) => scoreRow(prediction, pairs.references[row], scoring))
  const scores = types.map((_, i) => rows.map((row) => row[i]))
  const named = <Value>(values: Value[]) => Object.fromEntries(types.map((type, i) => [type, values[i]]))
  const everyRow = Uint32Array.from(rows.keys())
  const result: RougeResult = { scores: named(scores), mean: named(scores.map((list) => meanOf(list, everyRow))) }
  if (bootstrap === false) return result
  const settings = bootstrap === true ? bootstrapSchema.parse({}) : bootstrap
  const generator = new Mt19937(settings.seed)
  result.aggregate = named(scores.map((list) => resample(list, generator, settings)))
  return result
}

function meanOf(scores: readonly RougeScore[], rows: Uint32Array): RougeScore {
  const sum = { precision: 0, recall: 0, fmeasure: 0 }
  for (const row of rows) for (const measure of MEASURES) sum[measure] += scores[row][measure]
  for (const measure of MEASURES) sum[measure] /= rows.length
  return sum
}

function resample(
  scores: readonly RougeScore[],
  generator: Mt19937,
  { samples, confidence }: z.output<typeof bootstrapSchema>,
): RougeInterval {
  const means = Array.from({ length: samples }, () => meanOf(scores, generator.choice(scores.length, scores.length)))
  const sorted = MEASURES.map((measure) => Float64Array.from(means, (mean) => mean[measure]).sort())
  const at = (q: number): RougeScore => {
    const [precision, recall, fmeasure] = sorted.map((values) => percentile(values, q))
    return { precision, recall, fmeasure }
  }
  const tail = (1 - confidence) / 2
  return { low: at(tail), mid: at(0.5), high: at(1 - tail) }
}
