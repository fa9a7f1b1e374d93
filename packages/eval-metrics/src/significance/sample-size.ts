import { invalidData, invalidOptions, parseOptions } from '@tunesmith/core'
import { z } from 'zod'
import { normalQuantile } from './normal'

const schema = z.strictObject({
  /** The smallest difference worth seeing, in the metric's unit. */
  difference: z.number().gt(0),
  /** Standard deviation of the per-row differences; or give `baseScores` and `tunedScores` of a pilot run. */
  standardDeviation: z.number().gt(0).optional(),
  baseScores: z.array(z.number()).optional(),
  tunedScores: z.array(z.number()).optional(),
  /** Chance of a false alarm, two-sided. Default 0.05. */
  alpha: z.number().gt(0).lt(1).default(0.05),
  /** Chance of seeing a difference that is there. Default 0.8. */
  power: z.number().gt(0).lt(1).default(0.8),
  /** Comparisons made together; alpha is divided by it (Bonferroni). Default 1. */
  comparisons: z.int().min(1).default(1),
})

export interface SampleSize {
  /** Rows needed, rounded up. */
  rows: number
  standardDeviation: number
}

function deviation(base: readonly number[], tuned: readonly number[]): number {
  if (base.length !== tuned.length || base.length < 2) {
    throw invalidData(`${base.length} base and ${tuned.length} tuned pilot scores`, {
      where: 'sampleSize',
      remedy: 'Give both systems’ scores on the same rows, at least two',
    })
  }
  const gaps = tuned.map((score, row) => score - base[row])
  const mean = gaps.reduce((sum, x) => sum + x, 0) / gaps.length
  return Math.sqrt(gaps.reduce((sum, x) => sum + (x - mean) ** 2, 0) / (gaps.length - 1))
}

/**
 * How many rows a paired comparison needs to see a difference of means: `n = ((z[1 - alpha / 2] + z[power]) sd / d)^2`,
 * the usual normal approximation, good from a few dozen rows on.
 *
 * @throws {TunesmithError} `invalid_options` without a spread; `invalid_data` for unusable pilot scores.
 */
export function sampleSize(options: z.input<typeof schema>): SampleSize {
  const parsed = parseOptions(schema, options, 'sampleSize')
  const { difference, alpha, power, comparisons, baseScores, tunedScores } = parsed
  if ((parsed.standardDeviation === undefined) === (baseScores === undefined && tunedScores === undefined)) {
    throw invalidOptions('Give either standardDeviation, or baseScores and tunedScores', {
      where: 'sampleSize',
      remedy: 'A pilot run of 50 rows is enough to estimate the spread',
    })
  }
  const standardDeviation = parsed.standardDeviation ?? deviation(baseScores ?? [], tunedScores ?? [])
  const z = normalQuantile(1 - alpha / comparisons / 2) + normalQuantile(power)
  return { rows: Math.max(2, Math.ceil(((z * standardDeviation) / difference) ** 2)), standardDeviation }
}
