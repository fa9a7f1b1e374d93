import {
  bleu,
  bootstrapInterval,
  compareReport,
  type Interval,
  type MetricResult,
  pairedBootstrap,
  type Report,
  rouge,
} from '@tunesmith/eval-metrics'
import type { HeldOut } from './answers'

const ROUGE_NAMES = { rouge1: 'ROUGE-1', rouge2: 'ROUGE-2', rougeL: 'ROUGE-L' } as const
type RougeName = keyof typeof ROUGE_NAMES

/** A score of the whole test set with its 95% bootstrap interval. */
export interface Score {
  score: number
  low: number
  high: number
}

export interface ComparisonScores {
  base: Record<RougeName | 'bleu', Score>
  tuned: Record<RougeName | 'bleu', Score>
  /** tuned - base, paired by row. */
  difference: Record<RougeName, Score & { pValue: number }>
}

const plain = ({ mean, low, high }: Interval): Score => ({ score: mean, low, high })

function scoresOf(predictions: string[], references: string[]) {
  const { scores } = rouge({ predictions, references, rougeTypes: ['rouge1', 'rouge2', 'rougeL'], useStemmer: true })
  const rows = Object.fromEntries(
    Object.keys(ROUGE_NAMES).map((name) => [name, scores[name as RougeName]!.map(({ fmeasure }) => fmeasure)]),
  ) as Record<RougeName, number[]>
  const { score, interval } = bleu({ predictions, references, bootstrap: true })
  const half = interval?.ci ?? 0
  return { rows, bleu: { score, low: score - half, high: score + half } }
}

/** Scores both models' answers and writes the report's parts. */
export function compareAnswers(
  rows: readonly HeldOut[],
  answers: { base: string[]; tuned: string[] },
  { title, subtitle, lossSvg }: { title: string; subtitle: string; lossSvg: string },
): { scores: ComparisonScores; report: Report } {
  const references = rows.map(({ reference }) => reference)
  const base = scoresOf(answers.base, references)
  const tuned = scoresOf(answers.tuned, references)
  const each = <Value>(make: (name: RougeName) => Value) =>
    Object.fromEntries(Object.keys(ROUGE_NAMES).map((name) => [name, make(name as RougeName)])) as Record<
      RougeName,
      Value
    >
  const metrics: MetricResult[] = [
    ...(['rougeL', 'rouge1', 'rouge2'] as const).map((name) => ({
      name: ROUGE_NAMES[name],
      scores: { base: base.rows[name], tuned: tuned.rows[name] },
    })),
    {
      name: 'BLEU',
      corpus: { base: base.bleu.score, tuned: tuned.bleu.score },
      intervals: {
        base: { low: base.bleu.low, high: base.bleu.high },
        tuned: { low: tuned.bleu.low, high: tuned.bleu.high },
      },
    },
  ]
  const report = compareReport({
    title,
    subtitle,
    metrics,
    baseline: 'base',
    rows: rows.map(({ id, prompt, reference }, i) => ({
      id,
      prompt,
      reference,
      outputs: { base: answers.base[i]!, tuned: answers.tuned[i]! },
    })),
    sections: [{ title: 'Training', html: lossSvg }],
  })
  return {
    scores: {
      base: { ...each((name) => plain(bootstrapInterval(base.rows[name]))), bleu: base.bleu },
      tuned: { ...each((name) => plain(bootstrapInterval(tuned.rows[name]))), bleu: tuned.bleu },
      difference: each((name) => {
        const { difference, low, high, pValue } = pairedBootstrap(base.rows[name], tuned.rows[name])
        return { score: difference, low, high, pValue }
      }),
    },
    report,
  }
}
