import { parseOptions, Random } from '@tunesmith/core'
import { z } from 'zod'

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

/** Picks the next token from a row of logits, given the tokens before. */
export type Sampler = (logits: Float32Array, seen: readonly number[]) => number

export function argMax(values: ArrayLike<number>): number {
  let best = 0
  for (let i = 1; i < values.length; i++) if (values[i]! > values[best]!) best = i
  return best
}

function penalise(logits: Float64Array, seen: readonly number[], penalty: number): void {
  for (const token of new Set(seen))
    logits[token]! = logits[token]! > 0 ? logits[token]! / penalty : logits[token]! * penalty
}

/**
 * The probabilities a sampler draws from, in transformers' order: repetition penalty, temperature, top-k, top-p, min-p.
 *
 * @returns token ids with their renormalised probabilities, most likely first.
 */
export function samplingDistribution(
  logits: ArrayLike<number>,
  seen: readonly number[],
  options: SamplingOptions = {},
): { token: number; probability: number }[] {
  const { temperature, topK, topP, minP, repetitionPenalty } = parseOptions(samplingSchema, options, 'sampling options')
  const scores = Float64Array.from(logits)
  if (repetitionPenalty !== 1) penalise(scores, seen, repetitionPenalty)
  let order = Array.from(scores.keys()).sort((a, b) => scores[b]! - scores[a]! || a - b)
  // Ties with the k-th score stay in, as in transformers.
  if (topK > 0 && topK < order.length) order = order.filter((token) => scores[token]! >= scores[order[topK - 1]!]!)
  const top = scores[order[0]!]!
  let kept = order.map((token) => ({ token, probability: Math.exp((scores[token]! - top) / temperature) }))
  const normalise = () => {
    const sum = kept.reduce((total, { probability }) => total + probability, 0)
    kept = kept.map(({ token, probability }) => ({ token, probability: probability / sum }))
  }
  normalise()
  if (topP < 1) {
    let before = 0
    kept = kept.filter(({ probability }, i) => {
      const keep = i === 0 || before < topP
      before += probability
      return keep
    })
    normalise()
  }
  if (minP > 0) {
    const least = kept[0]!.probability * minP
    kept = kept.filter(({ probability }) => probability >= least)
    normalise()
  }
  return kept
}

/** A sampler with its own random stream. */
export function createSampler(options: SamplingOptions = {}, stream = ''): Sampler {
  const parsed = parseOptions(samplingSchema, options, 'sampling options')
  if (!parsed.doSample) {
    if (parsed.repetitionPenalty === 1) return (logits) => argMax(logits)
    return (logits, seen) => {
      const scores = Float64Array.from(logits)
      penalise(scores, seen, parsed.repetitionPenalty)
      return argMax(scores)
    }
  }
  const random = new Random(parsed.seed, `sampler ${stream}`)
  return (logits, seen) => {
    const distribution = samplingDistribution(logits, seen, parsed)
    let rest = random.uniform()
    for (const { token, probability } of distribution) {
      rest -= probability
      if (rest < 0) return token
    }
    return distribution.at(-1)!.token
  }
}
