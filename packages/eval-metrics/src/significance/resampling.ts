import { Pcg64 } from '../random/pcg64'
import { type CorpusMetric, sumRows } from '../sacrebleu/metric'

/** `statistics` of every row of a system, and its score. */
export interface SystemStatistics {
  rows: number[][]
  score: number
}

export function systemStatistics(
  metric: CorpusMetric,
  predictions: readonly string[],
  references: readonly (readonly string[])[],
): SystemStatistics {
  const rows = predictions.map((prediction, row) => metric.statistics(prediction, references[row]))
  return { rows, score: metric.score(sumRows(rows)) }
}

// A report tests many metrics on the same rows with the same draws; they are kept until memory is wanted for other things.
let last: { key: string; indices: WeakRef<Uint32Array> } | undefined

/** Row numbers of `samples` resamples of `rows` rows each, as sacrebleu draws them. Not to be changed. */
export function drawResamples(rows: number, samples: number, seed: number): Uint32Array {
  const key = `${rows} ${samples} ${seed}`
  const known = last?.key === key ? last.indices.deref() : undefined
  if (known) return known
  const indices = new Pcg64(seed).choice(rows, rows * samples)
  last = { key, indices: new WeakRef(indices) }
  return indices
}

interface ResampledScores {
  /** One score per resample. */
  scores: Float64Array
  /** Whether NumPy would keep them as float32. */
  single: boolean
}

/**
 * Scores of resampled corpora, summed and computed in single precision as sacrebleu does.
 *
 * @param indices from {@link drawResamples}.
 */
export function resampledScores(
  metric: CorpusMetric,
  rows: readonly number[][],
  indices: Uint32Array,
): ResampledScores {
  const width = rows[0].length
  const flat = new Float32Array(rows.length * width)
  for (let row = 0; row < rows.length; row++) flat.set(rows[row], row * width)
  const samples = indices.length / rows.length
  const scores = new Float64Array(samples)
  const sums = new Float32Array(width)
  let single = true
  for (let sample = 0; sample < samples; sample++) {
    sums.fill(0)
    for (let draw = 0; draw < rows.length; draw++) {
      const start = indices[sample * rows.length + draw] * width
      for (let i = 0; i < width; i++) sums[i] += flat[start + i]
    }
    scores[sample] = metric.score(sums, 'float32')
    single &&= metric.staysSingle?.(sums) ?? false
  }
  return { scores, single }
}

/** Half the width of the middle 95% and the mean of resampled scores; sacrebleu's "μ ± ci". */
export interface MeanInterval {
  mean: number
  ci: number
}

/** @param mean how to average: NumPy's way or exactly. */
export function meanInterval(
  { scores, single }: ResampledScores,
  mean: (scores: Float64Array, single: boolean) => number,
): MeanInterval {
  const round = single ? Math.fround : (x: number) => x
  const sorted = scores.slice().sort()
  const cut = Math.floor(sorted.length / 40)
  return { mean: mean(sorted, single), ci: round(0.5 * round(sorted[sorted.length - cut - 1] - sorted[cut])) }
}

/** The sum with its rounding error carried along (A. Neumaier 1974): a mean good to the last bit or two. */
export function exactMean(values: ArrayLike<number>): number {
  let sum = 0
  let lost = 0
  for (let i = 0; i < values.length; i++) {
    const x = values[i]
    const next = sum + x
    lost += Math.abs(sum) >= Math.abs(x) ? sum - next + x : x - next + sum
    sum = next
  }
  return (sum + lost) / values.length
}
