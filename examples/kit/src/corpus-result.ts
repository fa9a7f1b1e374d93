import { type CorpusMetric, type MetricResult, pairedTest } from '@tunesmith/eval-metrics'

/**
 * A metric of one's own that is more than the mean of its rows, for a report: corpus scores with bootstrap intervals, a
 * paired test against the first system, and each row's own score for sorting.
 *
 * @param systems predictions by system, the baseline first.
 */
export function corpusResult(
  metric: CorpusMetric,
  systems: Record<string, readonly string[]>,
  references: readonly string[],
): MetricResult {
  const names = Object.keys(systems)
  const [tested] = pairedTest({
    systems: names.map((name) => ({ name, predictions: [...systems[name]!] })),
    references: references.map((text) => [text]),
    metrics: [metric],
  })
  const results = tested!.systems
  const base = results[0]!
  return {
    name: metric.name,
    higherIsBetter: metric.higherIsBetter,
    signature: tested!.signature,
    scores: Object.fromEntries(
      names.map((name) => [
        name,
        systems[name]!.map((text, row) => metric.score(metric.statistics(text, [references[row]!]), 'int64')),
      ]),
    ),
    corpus: Object.fromEntries(results.map(({ name, score }) => [name, score])),
    intervals: Object.fromEntries(results.map(({ name, mean, ci }) => [name, { low: mean! - ci!, high: mean! + ci! }])),
    differences: Object.fromEntries(
      results.slice(1).map(({ name, score, pValue }) => [
        name,
        {
          difference: score - base.score,
          // sacrebleu's count of larger differences finds none among nothing but zeros.
          pValue: score === base.score ? 1 : pValue!,
        },
      ]),
    ),
  }
}
