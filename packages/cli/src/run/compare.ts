import {
  bootstrapInterval,
  compareReport,
  type EvalRow,
  evaluate,
  type MetricResult,
  pairedBootstrap,
  type Report,
} from '@tunesmith/eval-metrics'
import type { TestRow } from './test-rows'

const ROUGE = ['rouge1', 'rouge2', 'rougeL'] as const
type RougeName = (typeof ROUGE)[number]

/** A score of the whole test set with its 95% bootstrap interval. */
export interface Score {
  score: number
  low: number
  high: number
}

type Scores = Record<RougeName | 'bleu', Score>

export interface ComparisonScores {
  base: Scores
  tuned: Scores
  /** tuned - base, paired by row. */
  difference: Record<RougeName | 'bleu', Score & { pValue: number }>
}

const each = <Value>(make: (name: RougeName) => Value) =>
  Object.fromEntries(ROUGE.map((name) => [name, make(name)])) as Record<RougeName, Value>

/** Scores both models' answers and writes the report's parts. */
export function compareAnswers(
  rows: readonly TestRow[],
  answers: { base: string[]; tuned: string[] },
  { title, subtitle, lossSvg }: { title: string; subtitle: string; lossSvg: string },
): { scores: ComparisonScores; report: Report } {
  const evalRows: EvalRow[] = rows.map(({ id, prompt, reference }, i) => ({
    id,
    prompt,
    reference,
    outputs: { base: answers.base[i]!, tuned: answers.tuned[i]! },
  }))
  const metrics = evaluate({ rows: evalRows, metrics: ['rouge', 'bleu'], baseline: 'base' })
  const named = (name: string) => metrics.find((metric) => metric.name.toLowerCase() === name.toLowerCase())!
  const perRow = (name: RougeName, system: 'base' | 'tuned') => named(name).scores![system]!
  const bleu = named('bleu')

  const scoresOf = (system: 'base' | 'tuned'): Scores => ({
    ...each((name) => {
      const { mean, low, high } = bootstrapInterval(perRow(name, system))
      return { score: mean, low, high }
    }),
    bleu: corpusScore(bleu, system),
  })
  const { difference, low = difference, high = difference, pValue } = bleu.differences!.tuned!
  const report = compareReport({
    title,
    subtitle,
    metrics,
    baseline: 'base',
    sortBy: named('rougeL').name,
    rows: evalRows,
    sections: [{ title: 'Training', html: lossSvg }],
  })
  return {
    scores: {
      base: scoresOf('base'),
      tuned: scoresOf('tuned'),
      difference: {
        ...each((name) => {
          const paired = pairedBootstrap(perRow(name, 'base'), perRow(name, 'tuned'))
          return { score: paired.difference, low: paired.low, high: paired.high, pValue: paired.pValue }
        }),
        bleu: { score: difference, low, high, pValue },
      },
    },
    report,
  }
}

function corpusScore({ corpus, intervals }: MetricResult, system: string): Score {
  const score = corpus![system]!
  return { score, ...(intervals?.[system] ?? { low: score, high: score }) }
}
