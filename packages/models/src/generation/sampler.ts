import { parseOptions, Random, TunesmithError } from '@tunesmith/core'
import { z } from 'zod'
import { keepNucleus, kthLargest, memoryFor, type SamplingMemory } from './selection'

export const samplingSchema = z.strictObject({
  /** Draw from the distribution instead of taking the most likely token. Default false. */
  doSample: z.boolean().default(false),
  /** Divides the logits before sampling. Default 1. */
  temperature: z.number().positive().default(1),
  /** Keeps the k most likely tokens; 0 for all. Default 0. */
  topK: z.number().int().nonnegative().default(0),
  /** Keeps the smallest set of tokens whose probabilities reach p. Default 1: all. */
  topP: z.number().positive().max(1).default(1),
  /** Keeps tokens at least this fraction as likely as the most likely one. Default 0: all. */
  minP: z.number().min(0).max(1).default(0),
  /** Divides the positive and multiplies the negative logits of tokens seen before (Keskar et al. 2019). Default 1. */
  repetitionPenalty: z.number().positive().default(1),
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

/** The logits as scores in double precision, tokens seen before made less likely. */
function penalised(logits: ArrayLike<number>, seen: ArrayLike<number>, penalty: number): SamplingMemory {
  const memory = memoryFor(logits.length)
  const { scores } = memory
  for (let i = 0; i < logits.length; i++) scores[i] = logits[i]!
  if (penalty === 1) return memory
  for (let i = 0; i < seen.length; i++) {
    const token = seen[i]!
    // A token that was seen twice is penalised once: its logit has changed then.
    if (scores[token] !== logits[token]) continue
    scores[token] = scores[token]! > 0 ? scores[token]! / penalty : scores[token]! * penalty
  }
  return memory
}

/** Fills the memory's first `count` tokens and weights with what may be drawn, in no particular order. Returns `count`. */
function keep(memory: SamplingMemory, vocabSize: number, { temperature, topK, topP, minP }: Sampling): number {
  const { scores, tokens, weights, distances } = memory
  const largest = scores[argMax(scores.subarray(0, vocabSize))]!
  // Ties with the k-th score stay in, as in transformers.
  const least = topK > 0 && topK < vocabSize ? kthLargest(memory, vocabSize, topK) : Number.NEGATIVE_INFINITY
  let count = 0
  for (let token = 0; token < vocabSize; token++) {
    const score = scores[token]!
    if (!(score >= least)) continue
    tokens[count] = token
    distances[count] = (largest - score) / temperature
    weights[count] = Math.exp(-distances[count++]!)
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
  return count
}

/**
 * The probabilities a sampler draws from, in transformers' order: repetition penalty, temperature, top-k, top-p, min-p.
 *
 * @returns token ids with their renormalised probabilities, most likely first.
 */
export function samplingDistribution(
  logits: ArrayLike<number>,
  seen: ArrayLike<number>,
  options: SamplingOptions = {},
): { token: number; probability: number }[] {
  const parsed = parseOptions(samplingSchema, options, 'sampling options')
  const memory = penalised(logits, seen, parsed.repetitionPenalty)
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
 */
export function createSampler(options: SamplingOptions = {}, stream = ''): Sampler {
  const parsed = parseOptions(samplingSchema, options, 'sampling options')
  const { repetitionPenalty } = parsed
  if (!parsed.doSample) {
    if (repetitionPenalty === 1) return (logits) => argMax(logits)
    return (logits, seen) => argMax(penalised(logits, seen, repetitionPenalty).scores.subarray(0, logits.length))
  }
  const random = new Random(parsed.seed, `sampler ${stream}`)
  return (logits, seen) => {
    const memory = penalised(logits, seen, repetitionPenalty)
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
