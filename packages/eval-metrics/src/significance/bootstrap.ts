import { invalidData, parseOptions } from '@tunesmith/core'
import { z } from 'zod'
import { Pcg64 } from '../random/pcg64'
import { interval } from './percentile'
import { drawResamples, exactMean } from './resampling'

export const resampleSchema = z.strictObject({
  /** Default 12345. The stream is NumPy's `default_rng(seed)`. */
  seed: z.int().min(0).default(12345),
  /** Resamples, or random sign flips. Default 1000. */
  samples: z.int().min(1).default(1000),
  /** Share of the resampled means inside the interval. Default 0.95. */
  confidence: z.number().gt(0).lt(1).default(0.95),
})
export type ResampleOptions = z.input<typeof resampleSchema>

export interface Interval {
  /** Mean of the given scores. */
  mean: number
  /** Ends of the percentile interval. */
  low: number
  high: number
}

export interface PairedDifference {
  /** Mean of tuned minus base: positive when tuned scores higher. */
  difference: number
  /** Ends of the percentile interval of that difference. */
  low: number
  high: number
  /** Two-sided: how often chance alone would give a difference this large. Never 0; at least 1 / (samples + 1). */
  pValue: number
}

function checkScores(scores: ArrayLike<number>, where: string): Float64Array {
  const values = Float64Array.from(scores)
  const bad = values.findIndex((value) => !Number.isFinite(value))
  if (values.length === 0) throw invalidData('No scores to resample', { where })
  if (bad === -1) return values
  throw invalidData(`The score is ${values[bad]}`, {
    where: `${where}, row ${bad}`,
    remedy: 'Leave rows without a finite score out, in both systems',
  })
}

function differences(base: ArrayLike<number>, tuned: ArrayLike<number>, where: string): Float64Array {
  if (base.length !== tuned.length) {
    throw invalidData(`${base.length} base scores but ${tuned.length} tuned scores`, {
      where,
      remedy: 'A paired test needs both systems on the same rows in the same order',
    })
  }
  const ours = checkScores(tuned, where)
  return checkScores(base, where).map((score, row) => ours[row] - score)
}

function resampledMeans(values: Float64Array, seed: number, samples: number): Float64Array {
  const rows = values.length
  const indices = drawResamples(rows, samples, seed)
  const means = new Float64Array(samples)
  for (let sample = 0; sample < samples; sample++) {
    let sum = 0
    for (let draw = sample * rows; draw < (sample + 1) * rows; draw++) sum += values[indices[draw]]
    means[sample] = sum / rows
  }
  return means
}

// Sums in another order differ in their last bits; a tie must stay a tie.
const atLeast = (value: number, limit: number) => value >= limit - 1e-12 * Math.max(1, limit)

/**
 * Percentile bootstrap interval of the mean of per-row scores (B. Efron 1979).
 *
 * @param scores one finite number per row; a single row gives an interval of width 0.
 * @throws {TunesmithError} `invalid_data` for no scores or one that is not finite.
 */
export function bootstrapInterval(scores: ArrayLike<number>, options: ResampleOptions = {}): Interval {
  const { seed, samples, confidence } = parseOptions(resampleSchema, options, 'bootstrapInterval')
  const values = checkScores(scores, 'bootstrapInterval')
  return { mean: exactMean(values), ...interval(resampledMeans(values, seed, samples), confidence) }
}

/**
 * Paired bootstrap of the mean difference of two systems' per-row scores, for any metric that has one score per row.
 *
 * The p value is the two-sided one of the bootstrap distribution shifted to no difference, with one added to both counts
 * (P. Koehn 2004, with the shift of S. Riezler and J. Maxwell 2005): `(1 + #{|d* - d| >= |d|}) / (samples + 1)`.
 *
 * @throws {TunesmithError} `invalid_data` for different counts, no scores, or one that is not finite.
 */
export function pairedBootstrap(
  baseScores: ArrayLike<number>,
  tunedScores: ArrayLike<number>,
  options: ResampleOptions = {},
): PairedDifference {
  const { seed, samples, confidence } = parseOptions(resampleSchema, options, 'pairedBootstrap')
  const values = differences(baseScores, tunedScores, 'pairedBootstrap')
  const difference = exactMean(values)
  const means = resampledMeans(values, seed, samples)
  const limit = Math.abs(difference)
  const extreme = means.filter((mean) => atLeast(Math.abs(mean - difference), limit)).length
  return { difference, ...interval(means, confidence), pValue: (extreme + 1) / (samples + 1) }
}

/**
 * Approximate randomization (E. Noreen 1989): if the systems were alike, each row's two scores could be swapped.
 * The interval is the paired bootstrap's, for which swapping gives none.
 *
 * @throws {TunesmithError} as {@link pairedBootstrap}.
 */
export function pairedRandomization(
  baseScores: ArrayLike<number>,
  tunedScores: ArrayLike<number>,
  options: ResampleOptions = {},
): PairedDifference {
  const { seed, samples, confidence } = parseOptions(resampleSchema, options, 'pairedRandomization')
  const values = differences(baseScores, tunedScores, 'pairedRandomization')
  const difference = exactMean(values)
  const generator = new Pcg64(seed)
  let extreme = 0
  for (let sample = 0; sample < samples; sample++) {
    const swap = generator.booleans(values.length)
    let sum = 0
    for (let row = 0; row < values.length; row++) sum += swap[row] === 1 ? -values[row] : values[row]
    if (atLeast(Math.abs(sum / values.length), Math.abs(difference))) extreme++
  }
  const ends = interval(resampledMeans(values, seed, samples), confidence)
  return { difference, ...ends, pValue: (extreme + 1) / (samples + 1) }
}
