import { parseOptions, Random, TunesmithError } from '@tunesmith/core'
import { z } from 'zod'
import {
  createLogitsProcessors,
  type LogitsProcessor,
  processorOptions,
  type SequenceLimits,
} from './logits-processors'
import { keepNucleus, kthLargest, memoryFor, type SamplingMemory } from './selection'
import { keepEntropy, keepEpsilon, keepEta, keepTypical } from './truncation'

export const samplingSchema = z.strictObject({
  /** Draw from the distribution instead of taking the most likely token. Default false. */
  doSample: z.boolean().default(false),
  /** Divides the logits before sampling. Default 1. */
  temperature: z.number().positive().default(1),
  /** Keeps the most likely tokens that hold this share of the entropy of the first 100 (0 to 1). Default: all. */
  topH: z.number().positive().max(1).optional(),
  /** Keeps the k most likely tokens; 0 for all. Default 0. */
  topK: z.number().int().nonnegative().default(0),
  /** Keeps the smallest set of tokens whose probabilities reach p. Default 1: all. */
  topP: z.number().positive().max(1).default(1),
  /** Keeps tokens at least this fraction as likely as the most likely one. Default 0: all. */
  minP: z.number().min(0).max(1).default(0),
  /** Keeps the tokens whose information is nearest to the entropy, until their probabilities reach this. Default 1: all. */
  typicalP: z.number().positive().max(1).default(1),
  /** Keeps tokens at least as likely as this. Default 0: all. */
  epsilonCutoff: z.number().min(0).lt(1).default(0),
  /** Likewise, with a bound that falls with the entropy. Default 0: all. */
  etaCutoff: z.number().min(0).lt(1).default(0),
  ...processorOptions,
  /** Default 0. The same seed gives the same tokens. */
  seed: z.number().int().default(0),
})
export type SamplingOptions = z.input<typeof samplingSchema>
type Sampling = z.output<typeof samplingSchema>

/** Picks the next token from a row of logits, given the tokens before. */
export type Sampler = (logits: Float32Array, seen: ArrayLike<number>) => number

export function argMax(values: ArrayLike<number>): number {
  let best = 0
  for (let i = 1; i < values.length; i++) if (values[i]! > values[best]!) best = i
  if (!(Math.abs(values[best]!) < Number.POSITIVE_INFINITY))
    throw new TunesmithError(`The largest logit is ${values[best]}, so there is no next token`, {
      code: 'numerical',
      remedy: 'Check the weights: training may have diverged, or a file may be damaged',
    })
  return best
}

/** The logits as scores in double precision, changed by the processors. */
function processed(
  logits: ArrayLike<number>,
  tokens: ArrayLike<number>,
  processors: readonly LogitsProcessor[],
): SamplingMemory {
  const memory = memoryFor(logits.length)
  const scores = memory.scores.subarray(0, logits.length)
  for (let i = 0; i < logits.length; i++) scores[i] = logits[i]!
  for (const processor of processors) processor(scores, tokens)
  return memory
}

/** Fills the memory's first `count` tokens and weights with what may be drawn, in no particular order. Returns `count`. */
function keep(memory: SamplingMemory, vocabSize: number, settings: Sampling): number {
  const { temperature, topH, topK, topP, minP, typicalP, epsilonCutoff, etaCutoff } = settings
  const { scores, tokens, weights, distances } = memory
  const largest = scores[argMax(scores.subarray(0, vocabSize))]!
  // Ties with the k-th score stay in, as in transformers.
  const cut = topH === undefined && topK > 0 && topK < vocabSize
  const least = cut ? kthLargest(memory, vocabSize, topK) : Number.NEGATIVE_INFINITY
  let count = 0
  for (let token = 0; token < vocabSize; token++) {
    const score = scores[token]!
    if (!(score >= least) || score === Number.NEGATIVE_INFINITY) continue
    tokens[count] = token
    distances[count] = (largest - score) / temperature
    weights[count] = Math.exp(-distances[count++]!)
  }
  if (topH !== undefined) {
    count = keepEntropy(memory, count, topH)
    if (topK > 0 && topK < count) {
      const most = distances[topK - 1]!
      while (distances[count - 1]! > most) count--
    }
  }
  if (topP < 1) count = keepNucleus(memory, count, topP)
  if (minP > 0) {
    let kept = 0
    for (let i = 0; i < count; i++) {
      // The most likely token weighs 1.
      if (weights[i]! < minP) continue
      tokens[kept] = tokens[i]!
      weights[kept++] = weights[i]!
    }
    count = kept
  }
  if (typicalP < 1) count = keepTypical(memory, count, typicalP)
  if (epsilonCutoff > 0) count = keepEpsilon(memory, count, epsilonCutoff)
  if (etaCutoff > 0) count = keepEta(memory, count, etaCutoff)
  return count
}

/** A sequence that nothing but its tokens is known of: all of them are the prompt. */
const promptAlone = (tokens: ArrayLike<number>): SequenceLimits => ({
  promptLength: tokens.length,
  maxLength: Number.POSITIVE_INFINITY,
  eosTokenIds: [],
})

/**
 * The probabilities a sampler draws from, in transformers' order: what changes the logits, temperature, top-h, top-k, top-p, min-p, typical,
 * epsilon and eta.
 *
 * @param limits of the sequence. Default: all of `seen` is the prompt, and nothing ends it.
 * @returns token ids with their renormalised probabilities, most likely first.
 */
export function samplingDistribution(
  logits: ArrayLike<number>,
  seen: ArrayLike<number>,
  options: SamplingOptions = {},
  limits: SequenceLimits = promptAlone(seen),
): { token: number; probability: number }[] {
  const parsed = parseOptions(samplingSchema, options, 'sampling options')
  const memory = processed(logits, seen, createLogitsProcessors(parsed, limits, logits.length))
  const count = keep(memory, logits.length, parsed)
  let total = 0
  for (let i = 0; i < count; i++) total += memory.weights[i]!
  return Array.from({ length: count }, (_, i) => ({
    token: memory.tokens[i]!,
    probability: memory.weights[i]! / total,
  })).sort((a, b) => b.probability - a.probability || a.token - b.token)
}

/**
 * A sampler with its own random stream. It reads each row a few times, in memory that is used again, and sorts nothing
 * but the tokens at the edge of the nucleus.
 *
 * @param limits of its sequence. Default: the first call's tokens are the prompt, and nothing ends it.
 * @param last changes the scores after all that the options ask for.
 */
export function createSampler(
  options: SamplingOptions = {},
  stream = '',
  limits?: SequenceLimits,
  last: readonly LogitsProcessor[] = [],
): Sampler {
  const parsed = parseOptions(samplingSchema, options, 'sampling options')
  let made: LogitsProcessor[] | undefined
  const processors = (logits: ArrayLike<number>, tokens: ArrayLike<number>) => {
    made ??= [...createLogitsProcessors(parsed, limits ?? promptAlone(tokens), logits.length), ...last]
    return made
  }
  if (!parsed.doSample)
    return (logits, tokens) => {
      const all = processors(logits, tokens)
      return argMax(all.length === 0 ? logits : processed(logits, tokens, all).scores.subarray(0, logits.length))
    }
  const random = new Random(parsed.seed, `sampler ${stream}`)
  return (logits, seen) => {
    const memory = processed(logits, seen, processors(logits, seen))
    const { tokens, weights } = memory
    const count = keep(memory, logits.length, parsed)
    let total = 0
    for (let i = 0; i < count; i++) total += weights[i]!
    let rest = random.uniform() * total
    for (let i = 0; i < count; i++) {
      rest -= weights[i]!
      if (rest < 0) return tokens[i]!
    }
    return tokens[count - 1]!
  }
}
