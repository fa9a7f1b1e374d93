import { invalidData, invalidOptions, parseOptions } from '@tunesmith/core'
import { z } from 'zod'
import { Pcg64 } from '../random/pcg64'
import type { CorpusMetric } from '../sacrebleu/metric'
import type { Signature } from '../sacrebleu/signature'
import { pairsShape, readPairs } from '../strings/pairs'
import { numpyMean } from './numpy-mean'
import { drawResamples, meanInterval, resampledScores, type SystemStatistics, systemStatistics } from './resampling'

const schema = z.strictObject({
  /** The first one is the baseline the others are tested against. */
  systems: z.array(z.strictObject({ name: z.string(), predictions: z.array(z.string()) })).min(1),
  references: pairsShape.references,
  /** Such as `bleuMetric()`, `chrfMetric({ wordOrder: 2 })`, `terMetric()`, or one of your own. */
  metrics: z.array(z.custom<CorpusMetric>((value) => typeof value === 'object' && value !== null)).min(1),
  /** `bootstrap` (default) resamples rows, `randomization` swaps the systems' rows. */
  test: z.enum(['bootstrap', 'randomization']).default('bootstrap'),
  /** Resamples or trials. Default 1000 for the bootstrap, 10000 for randomization. */
  samples: z.int().min(2).optional(),
  /** For randomization: also bootstrap this many resamples for the intervals. Default 0, none. */
  intervalSamples: z.int().min(0).default(0),
  /** Default 12345, sacrebleu's. */
  seed: z.int().min(1).default(12345),
})
export type PairedTestOptions = z.input<typeof schema>

export interface PairedTestResult extends Signature {
  /** As the metric names itself. */
  metric: string
  higherIsBetter: boolean
  systems: {
    name: string
    score: number
    /** Mean of the resampled scores and half the width of their middle 95%; null without resamples. */
    mean: number | null
    ci: number | null
    /** Two-sided, against the baseline; null for the baseline. */
    pValue: number | null
  }[]
}

/** How many trials differ by more than the systems do, one added to both counts. */
function pValue(trials: Float64Array, difference: number): number {
  let more = 0
  for (const trial of trials) if (trial > difference) more++
  return (more + 1) / (trials.length + 1)
}

/** P. Koehn 2004, in the form of Moses and sacrebleu: resampled differences around their mean. */
function bootstrapTest(metric: CorpusMetric, base: SystemStatistics, ours: SystemStatistics, indices: Uint32Array) {
  const resampled = resampledScores(metric, ours.rows, indices)
  const baseline = resampledScores(metric, base.rows, indices)
  const single = resampled.single && baseline.single
  const round = single ? Math.fround : (x: number) => x
  const gaps = resampled.scores.map((score, i) => Math.abs(round(score - baseline.scores[i])))
  const mean = numpyMean(gaps, single)
  const centred = gaps.map((gap) => round(gap - mean))
  return { ...meanInterval(resampled, numpyMean), pValue: pValue(centred, round(Math.abs(base.score - ours.score))) }
}

function addTo(sums: Float64Array, row: readonly number[]): void {
  for (let i = 0; i < sums.length; i++) sums[i] += row[i]
}

/** E. Noreen 1989: swaps rows between the systems at random. @param swaps one flag per trial and row. */
function randomizationTest(metric: CorpusMetric, base: SystemStatistics, ours: SystemStatistics, swaps: Uint8Array) {
  const rows = base.rows.length
  const width = base.rows[0].length
  const gaps = new Float64Array(swaps.length / rows)
  // Each system's share is summed apart and the shares are added then, as NumPy's two matrix products do: TER's reference
  // lengths may be thirds, and ties between trials must stay ties.
  const shares = Array.from({ length: 4 }, () => new Float64Array(width))
  const [baseKept, oursKept, baseGiven, oursGiven] = shares
  for (let trial = 0; trial < gaps.length; trial++) {
    for (const share of shares) share.fill(0)
    for (let row = 0; row < rows; row++) {
      const kept = swaps[trial * rows + row] === 1
      addTo(kept ? baseKept : baseGiven, base.rows[row])
      addTo(kept ? oursGiven : oursKept, ours.rows[row])
    }
    const a = baseKept.map((x, i) => x + oursKept[i])
    const b = baseGiven.map((x, i) => x + oursGiven[i])
    gaps[trial] = Math.abs(metric.score(a, 'int64') - metric.score(b, 'int64'))
  }
  return pValue(gaps, Math.abs(base.score - ours.score))
}

/**
 * Tests whether systems differ from a baseline in corpus scores such as BLEU, which no per-row score adds up to.
 * Scores, intervals, p values and signatures equal sacrebleu's for the same seed.
 *
 * @returns one result per metric, systems in the order given.
 * @throws {TunesmithError} `invalid_options`, or `invalid_data` for no rows, different counts, a row without reference.
 */
export function pairedTest(options: PairedTestOptions): PairedTestResult[] {
  const parsed = parseOptions(schema, options, 'pairedTest')
  const { systems, metrics, test, seed, intervalSamples } = parsed
  const samples = parsed.samples ?? (test === 'bootstrap' ? 1000 : 10_000)
  const [first] = systems
  const { references } = readPairs({ ...first, references: parsed.references }, `pairedTest, ${first.name}`)
  const odd = systems.find(({ predictions }) => predictions.length !== references.length)
  if (odd) {
    throw invalidData(`${odd.predictions.length} predictions but ${references.length} rows of references`, {
      where: `pairedTest, ${odd.name}`,
      remedy: 'A paired test needs every system on the same rows',
    })
  }
  if (test === 'bootstrap' && intervalSamples > 0) {
    throw invalidOptions('intervalSamples is for randomization; the bootstrap test has its own intervals', {
      where: 'pairedTest',
      remedy: 'Leave intervalSamples out, or set samples',
    })
  }
  const rows = references.length
  const bootstraps = test === 'bootstrap' ? samples : intervalSamples
  const indices = drawResamples(rows, bootstraps, seed)
  let swaps: Uint8Array = new Uint8Array(0)
  let later = indices
  if (test === 'randomization') {
    // One stream: the systems' interval resamples follow the swaps, while the baseline's start afresh.
    const generator = new Pcg64(seed)
    swaps = generator.booleans(rows * samples)
    later = generator.choice(rows, rows * intervalSamples)
  }
  return metrics.map((metric) => {
    const measured = systems.map(({ predictions }) => systemStatistics(metric, predictions, references))
    const [base] = measured
    const intervalOf = ({ rows }: SystemStatistics, indices: Uint32Array) =>
      indices.length > 0 ? meanInterval(resampledScores(metric, rows, indices), numpyMean) : { mean: null, ci: null }
    const note = {
      seed,
      ...(bootstraps > 0 && { bootstrapSamples: bootstraps }),
      ...(test === 'randomization' && { randomizationTrials: samples }),
    }
    return {
      metric: metric.name,
      higherIsBetter: metric.higherIsBetter,
      ...metric.signature(references, note),
      systems: measured.map((system, i) => {
        const { score } = system
        const { name } = systems[i]
        if (i === 0) return { name, score, ...intervalOf(base, indices), pValue: null }
        if (test === 'bootstrap') return { name, score, ...bootstrapTest(metric, base, system, indices) }
        const p = randomizationTest(metric, base, system, swaps)
        return { name, score, ...intervalOf(system, later), pValue: p }
      }),
    }
  })
}
