import { compareReport, type EvalRow, evaluate, type Report, type ReportOptions } from '@tunesmith/eval-metrics'
import { WITHOUT_ADAPTER } from './preferences'
import type { TestRow } from './test-rows'

const METRICS = { rouge1: 'rouge1', rouge2: 'rouge2', rougeL: 'rougeL', bleu: 'BLEU' }
type MetricName = keyof typeof METRICS

/** A score of the whole test set with its 95% bootstrap interval. */
export interface Score {
  score: number
  low: number
  high: number
}

type Scores = Record<MetricName, Score>

export interface ComparisonScores {
  base: Scores
  tuned: Scores
  /** tuned - base, paired by row. */
  difference: Record<MetricName, Score & { pValue: number }>
}

/** Answers of each model to the same prompts. */
export interface ModelAnswers {
  base: string[]
  tuned: string[]
  /** The base model without any adapter, where training went on with one. */
  withoutAdapter?: string[]
}

/** Scores the models' answers and writes the report's parts. */
export function compareAnswers(
  rows: readonly TestRow[],
  { base, tuned, withoutAdapter }: ModelAnswers,
  { title, subtitle, sections }: Pick<ReportOptions, 'title' | 'subtitle' | 'sections'>,
): { scores: ComparisonScores; report: Report } {
  const evalRows: EvalRow[] = rows.map(({ id, prompt, reference }, i) => ({
    id,
    prompt,
    reference,
    outputs: {
      base: base[i]!,
      tuned: tuned[i]!,
      ...(withoutAdapter && { [WITHOUT_ADAPTER]: withoutAdapter[i]! }),
    },
  }))
  const report = compareReport({
    title,
    subtitle,
    metrics: evaluate({ rows: evalRows, metrics: ['rouge', 'bleu'], baseline: 'base' }),
    baseline: 'base',
    sortBy: METRICS.rougeL,
    rows: evalRows,
    sections,
  })
  /** The report's numbers for each metric, those of the base first. */
  const each = <Value>(read: (systems: Report['summary']['metrics'][number]['systems']) => Value) =>
    Object.fromEntries(
      Object.entries(METRICS).map(([key, name]) => [
        key,
        read(report.summary.metrics.find((m) => m.name === name)!.systems),
      ]),
    ) as Record<MetricName, Value>
  const interval = (score: number, { low, high }: { low: number | null; high: number | null }): Score => ({
    score,
    low: low ?? score,
    high: high ?? score,
  })
  return {
    scores: {
      base: each(([base]) => interval(base!.score!, base!)),
      tuned: each(([, tuned]) => interval(tuned!.score!, tuned!)),
      difference: each(([, tuned]) => {
        const { difference, pValue, ...ends } = tuned!.comparison!
        return { ...interval(difference, ends), pValue }
      }),
    },
    report,
  }
}
