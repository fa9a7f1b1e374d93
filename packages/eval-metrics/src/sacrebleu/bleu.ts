import { parseOptions } from '@tunesmith/core'
import { z } from 'zod'
import { clippedMatches } from '../strings/ngrams'
import { pairsShape, readPairs, sentenceShape } from '../strings/pairs'
import { formatFixed, rstrip } from '../strings/python'
import { bootstrapOption, type CorpusScore, scoreCorpus } from './corpus'
import type { Arithmetic, CorpusMetric } from './metric'
import { signatureOf } from './signature'
import { BLEU_TOKENIZERS, bleuTokens } from './tokenizers'

/** sacrebleu's constructor arguments, same defaults. */
const bleuShape = {
  /** Default `13a`, the WMT standard; `intl` splits all Unicode punctuation, `zh` is for Chinese. */
  tokenize: z.enum(BLEU_TOKENIZERS).default('13a'),
  /** Default false: case counts. */
  lowercase: z.boolean().default(false),
  /** What to do with n-gram orders without a match (B. Chen and C. Cherry 2014). Default `exp`. */
  smoothMethod: z.enum(['exp', 'floor', 'add-k', 'none']).default('exp'),
  /** For `floor` (default 0.1) and `add-k` (default 1). */
  smoothValue: z.number().optional(),
  /** Longest n-gram counted. Default 4. */
  maxNgramOrder: z.int().min(1).default(4),
  /** Stop at the longest order the prediction is long enough for. Default false; sentence BLEU turns it on. */
  effectiveOrder: z.boolean().default(false),
}
const metricSchema = z.strictObject(bleuShape)
type BleuParams = z.output<typeof metricSchema>
const corpusSchema = z.strictObject({ ...pairsShape, ...bleuShape, bootstrap: bootstrapOption })
const sentenceSchema = z.strictObject({
  ...sentenceShape,
  ...bleuShape,
  effectiveOrder: z.boolean().default(true),
})
export type BleuOptions = z.input<typeof corpusSchema>
export type SentenceBleuOptions = z.input<typeof sentenceSchema>

const SMOOTH_DEFAULTS: Partial<Record<BleuParams['smoothMethod'], number>> = { floor: 0.1, 'add-k': 1 }

/** The score with everything that led to it. */
export interface BleuParts {
  /** 0 to 100. */
  score: number
  /** Matched n-grams per order; with `add-k` including what was added. */
  counts: number[]
  /** N-grams in the predictions per order. */
  totals: number[]
  /** Per order, 0 to 100. */
  precisions: number[]
  /** Brevity penalty, 0 to 1. */
  bp: number
  sysLen: number
  refLen: number
}

/**
 * BLEU (K. Papineni et al. 2002) from summed counts `[sysLen, refLen, matches per order, totals per order]`.
 */
function bleuFromSums(sums: ArrayLike<number>, params: BleuParams, arithmetic: Arithmetic = 'float64'): BleuParts {
  const { maxNgramOrder: orders, smoothMethod, effectiveOrder } = params
  const smoothValue = params.smoothValue ?? SMOOTH_DEFAULTS[smoothMethod] ?? 0
  const round = arithmetic === 'float32' ? Math.fround : (x: number) => x
  // Adding in place to an array of NumPy integers cuts the fraction off.
  const add = (x: number) => (arithmetic === 'int64' ? Math.trunc(x + smoothValue) : round(x + round(smoothValue)))
  const [sysLen, refLen] = [sums[0], sums[1]]
  const counts = Array.from({ length: orders }, (_, i) => sums[2 + i])
  const totals = Array.from({ length: orders }, (_, i) => sums[2 + orders + i])
  const precisions = new Array<number>(orders).fill(0)
  const bp = sysLen >= refLen ? 1 : sysLen > 0 ? Math.exp(1 - refLen / sysLen) : 0
  const parts = { counts, totals, precisions, bp, sysLen, refLen }
  if (counts.every((count) => count === 0)) return { score: 0, ...parts }

  let doubling = 1
  let usedOrders = orders
  for (let i = 0; i < orders; i++) {
    if (smoothMethod === 'add-k' && i > 0) {
      counts[i] = add(counts[i])
      totals[i] = add(totals[i])
    }
    if (totals[i] === 0) break
    if (effectiveOrder) usedOrders = i + 1
    if (counts[i] > 0) precisions[i] = round(round(100 * counts[i]) / totals[i])
    else if (smoothMethod === 'exp') {
      doubling *= 2
      precisions[i] = round(100 / round(doubling * totals[i]))
    } else if (smoothMethod === 'floor') precisions[i] = round(round(100 * smoothValue) / totals[i])
  }
  let logs = 0
  for (let i = 0; i < usedOrders; i++) logs += precisions[i] === 0 ? -9999999999 : Math.log(precisions[i])
  return { score: bp * Math.exp(logs / usedOrders), ...parts }
}

/** The reference length nearest to the prediction's; the shorter one on ties. */
function closestLength(length: number, references: readonly (readonly string[])[]): number {
  let closest = references[0].length
  for (const { length: candidate } of references) {
    const gain = Math.abs(length - closest) - Math.abs(length - candidate)
    if (gain > 0 || (gain === 0 && candidate < closest)) closest = candidate
  }
  return closest
}

function metricFrom(params: BleuParams): CorpusMetric {
  const { tokenize, lowercase, maxNgramOrder, smoothMethod, effectiveOrder } = params
  const words = (text: string) => bleuTokens(rstrip(lowercase ? text.toLowerCase() : text), tokenize)
  const smoothValue = params.smoothValue ?? SMOOTH_DEFAULTS[smoothMethod]
  const hasValue = SMOOTH_DEFAULTS[smoothMethod] !== undefined
  return {
    name: 'BLEU',
    higherIsBetter: true,
    statistics(prediction, references) {
      const candidate = words(prediction)
      const alternatives = references.map(words)
      const matches = clippedMatches(candidate, alternatives, maxNgramOrder)
      const totals = matches.map((_, i) => Math.max(0, candidate.length - i))
      return [candidate.length, closestLength(candidate.length, alternatives), ...matches, ...totals]
    },
    score: (sums, arithmetic) => bleuFromSums(sums, params, arithmetic).score,
    signature: signatureOf([
      ['case', lowercase ? 'lc' : 'mixed'],
      ['eff', effectiveOrder],
      ['tok', tokenize],
      ['smooth', hasValue ? `${smoothMethod}[${formatFixed(smoothValue as number, 2)}]` : smoothMethod],
    ]),
  }
}

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
  const { sums, ...result } = scoreCorpus(metricFrom(params), pairs, bootstrap, (totals) =>
    describe(bleuFromSums(totals, params)),
  )
  return { ...result, ...bleuFromSums(sums, params) }
}

/**
 * BLEU of one sentence; `effectiveOrder` is on by default, as sacrebleu recommends for single sentences.
 */
export function sentenceBleu(options: SentenceBleuOptions): BleuParts {
  const { prediction, reference, ...params } = parseOptions(sentenceSchema, options, 'sentenceBleu')
  return bleuFromSums(metricFrom(params).statistics(prediction, [reference].flat()), params)
}

/** BLEU for {@link pairedTest} and other resampling. */
export function bleuMetric(options: z.input<typeof metricSchema> = {}): CorpusMetric {
  return metricFrom(parseOptions(metricSchema, options, 'bleuMetric'))
}

function describe({ precisions, bp, sysLen, refLen }: BleuParts): string {
  const ratio = refLen === 0 ? 0 : sysLen / refLen
  const list = precisions.map((precision) => formatFixed(precision, 1)).join('/')
  return `${list} (BP = ${formatFixed(bp, 3)} ratio = ${formatFixed(ratio, 3)} hyp_len = ${sysLen} ref_len = ${refLen})`
}
