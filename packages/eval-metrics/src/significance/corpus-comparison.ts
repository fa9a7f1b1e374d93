import type { CorpusMetric } from '../sacrebleu/metric'
import type { PairedDifference } from './bootstrap'
import { interval } from './percentile'
import { drawResamples, resampledScores, systemStatistics } from './resampling'

interface CorpusComparison {
  score: number
  low: number
  high: number
  /** Against the baseline; null for the baseline itself. */
  paired: PairedDifference | null
}

/**
 * Corpus scores with percentile intervals, and paired bootstrap differences from the first system, with the same two-sided
 * test of the shifted distribution as {@link pairedBootstrap}. For sacrebleu's own p values see {@link pairedTest}.
 *
 * @param systems predictions per system. @param references `[row][alternative]`.
 */
export function compareCorpusScores(
  metric: CorpusMetric,
  systems: readonly (readonly string[])[],
  references: readonly (readonly string[])[],
  { samples, seed, confidence }: { samples: number; seed: number; confidence: number },
): CorpusComparison[] {
  const indices = drawResamples(references.length, samples, seed)
  const measured = systems.map((predictions) => {
    const statistics = systemStatistics(metric, predictions, references)
    return { score: statistics.score, resampled: resampledScores(metric, statistics.rows, indices).scores }
  })
  const ends = (values: Float64Array) => interval(values, confidence)
  const [base] = measured
  return measured.map(({ score, resampled }, i) => {
    if (i === 0) return { score, ...ends(resampled), paired: null }
    const difference = score - base.score
    const gaps = resampled.map((value, sample) => value - base.resampled[sample])
    // Single precision sums leave noise in the last digits; a tie must stay a tie.
    const extreme = gaps.filter((gap) => Math.abs(gap - difference) >= Math.abs(difference) - 1e-5).length
    const paired = { difference, ...ends(gaps), pValue: (extreme + 1) / (samples + 1) }
    return { score, ...ends(resampled), paired }
  })
}
