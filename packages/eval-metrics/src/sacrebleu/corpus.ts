import { z } from 'zod'
import { drawResamples, exactMean, type MeanInterval, meanInterval, resampledScores } from '../significance/resampling'
import type { Pairs } from '../strings/pairs'
import { formatFixed } from '../strings/python'
import { type CorpusMetric, sumRows } from './metric'
import type { Signature } from './signature'

/** An interval for one system's corpus score. */
const bootstrapShape = z.strictObject({
  /** Resampled corpora. Default 1000. */
  samples: z.int().min(2).default(1000),
  /** Seed of NumPy's PCG64. Default 12345, sacrebleu's. */
  seed: z.int().min(0).default(12345),
})
/** `false` (default) for none, `true` for the defaults. */
export const bootstrapOption = z.union([z.boolean(), bootstrapShape]).default(false)
type BootstrapOption = z.output<typeof bootstrapOption>

export interface CorpusScore extends Signature {
  /** As sacrebleu names it: `BLEU`, `chrF2++`, `TER`. */
  name: string
  score: number
  /** sacrebleu's line for people: the score, its interval if asked for, and the parts. */
  text: string
  /** With `bootstrap`: mean of the resampled scores and half the width of their middle 95%. */
  interval?: MeanInterval
}

/** Scores a corpus. @param verbose the parts after the score in `text`. @returns also the summed counts. */
export function scoreCorpus(
  metric: CorpusMetric,
  pairs: Pairs,
  bootstrap: BootstrapOption,
  verbose: (sums: number[]) => string = () => '',
): CorpusScore & { sums: number[] } {
  const rows = pairs.predictions.map((prediction, row) => metric.statistics(prediction, pairs.references[row]))
  const sums = sumRows(rows)
  const settings = bootstrap === true ? bootstrapShape.parse({}) : bootstrap
  let interval: MeanInterval | undefined
  if (settings !== false) {
    const indices = drawResamples(rows.length, settings.samples, settings.seed)
    interval = meanInterval(resampledScores(metric, rows, indices), (scores, single) =>
      single ? Math.fround(exactMean(scores)) : exactMean(scores),
    )
  }
  const score = metric.score(sums)
  const range =
    interval && interval.mean > 0 ? ` (μ = ${formatFixed(interval.mean, 2)} ± ${formatFixed(interval.ci, 2)})` : ''
  const tail = verbose(sums)
  return {
    name: metric.name,
    score,
    text: `${metric.name} = ${formatFixed(score, 2)}${range}${tail === '' ? '' : ` ${tail}`}`,
    ...metric.signature(
      pairs.references,
      settings === false ? {} : { bootstrapSamples: settings.samples, seed: settings.seed },
    ),
    ...(interval && { interval }),
    sums,
  }
}
