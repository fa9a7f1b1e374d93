import { invalidData } from '@tunesmith/core'
import { readDecision } from '../answers/pubmed-qa'
import { exactMatch, tokenF1 } from '../answers/squad'
import { lengthRatio, repetition } from '../reference-free/diversity'
import type { EvalRow, MetricResult } from '../report/types'
import { rouge } from '../rouge/rouge'
import type { RougeType } from '../rouge/score'
import { bleuMetric, sentenceBleu } from '../sacrebleu/bleu'
import { chrfMetric } from '../sacrebleu/chrf'
import type { CorpusMetric } from '../sacrebleu/metric'
import { terMetric } from '../sacrebleu/ter'
import { compareCorpusScores } from '../significance/corpus-comparison'
import { entityMicroF1, pubmedQaMacroF1, wantedDecision } from './count-metrics'

interface EvaluateContext {
  rows: EvalRow[]
  /** The baseline first. */
  systems: string[]
  samples: number
  seed: number
  confidence: number
  /** For rouge. */
  useStemmer: boolean
}

const outputsOf = ({ rows }: EvaluateContext, system: string) => rows.map(({ outputs }) => outputs[system])

function referencesOf({ rows }: EvaluateContext, metric: string): string[][] {
  return rows.map(({ reference }, row) => {
    const texts = [reference ?? []].flat()
    if (texts.length > 0) return texts
    throw invalidData(`The metric "${metric}" needs a reference`, {
      where: `evaluate, row ${row}`,
      remedy: 'Give every row a reference, or choose metrics that need none',
    })
  })
}

/** One score per row and system from a function of predictions and references. */
function perRow(
  name: string,
  context: EvaluateContext,
  score: (predictions: string[], references: string[][]) => number[],
  higherIsBetter = true,
): MetricResult {
  const references = referencesOf(context, name)
  const scores = Object.fromEntries(context.systems.map((s) => [s, score(outputsOf(context, s), references)]))
  return { name, scores, higherIsBetter }
}

function rougeResults(context: EvaluateContext): MetricResult[] {
  const rougeTypes: RougeType[] = ['rouge1', 'rouge2', 'rougeL', 'rougeLsum']
  const references = referencesOf(context, 'rouge')
  const { useStemmer, systems } = context
  const results = systems.map((s) => rouge({ predictions: outputsOf(context, s), references, rougeTypes, useStemmer }))
  return rougeTypes.map((type) => ({
    name: type,
    scores: Object.fromEntries(systems.map((s, i) => [s, (results[i].scores[type] ?? []).map((x) => x.fmeasure)])),
    signature: `F-measure, ${useStemmer ? 'Porter stems' : 'no stemmer'}, as rouge_score`,
  }))
}

/** A metric whose corpus score decides; the scores of single rows only sort them. */
function corpusResult(
  metric: CorpusMetric,
  context: EvaluateContext,
  rowScore = (prediction: string, reference: string[]) => metric.score(metric.statistics(prediction, reference)),
): MetricResult {
  const references = referencesOf(context, metric.name)
  const { systems } = context
  const outputs = systems.map((s) => outputsOf(context, s))
  const compared = compareCorpusScores(metric, outputs, references, context)
  const by = <Value>(values: Value[]) => Object.fromEntries(systems.map((s, i) => [s, values[i]]))
  return {
    name: metric.name,
    scores: by(outputs.map((list) => list.map((text, row) => rowScore(text, references[row])))),
    corpus: by(compared.map(({ score }) => score)),
    intervals: by(compared.map(({ low, high }) => ({ low, high }))),
    differences: Object.fromEntries(systems.flatMap((s, i) => (compared[i].paired ? [[s, compared[i].paired]] : []))),
    higherIsBetter: metric.higherIsBetter,
    signature: metric.signature(references).signature,
  }
}

function pubmedQaResults(context: EvaluateContext): MetricResult[] {
  const right = (prediction: string, [reference]: string[], row: number) =>
    readDecision(prediction) === wantedDecision(reference, `evaluate, row ${row}`) ? 1 : 0
  return [
    perRow('pubmedQa accuracy', context, (predictions, references) =>
      predictions.map((prediction, row) => right(prediction, references[row], row)),
    ),
    corpusResult(pubmedQaMacroF1, context, (prediction, reference) => right(prediction, reference, 0)),
  ]
}

/** A row without entities is right when none is found. */
function entityRow(prediction: string, reference: string[]): number {
  const counts = entityMicroF1.statistics(prediction, reference)
  return counts[1] + counts[2] === 0 ? 1 : entityMicroF1.score(counts)
}

/** What `evaluate` can compute by name. All but `repetition` need references. */
export const METRICS = {
  rouge: rougeResults,
  bleu: (c) => [
    corpusResult(bleuMetric(), c, (prediction, reference) => sentenceBleu({ prediction, reference }).score),
  ],
  chrf: (c) => [corpusResult(chrfMetric(), c)],
  'chrf++': (c) => [corpusResult(chrfMetric({ wordOrder: 2 }), c)],
  ter: (c) => [corpusResult(terMetric(), c)],
  exactMatch: (c) => [
    perRow('exactMatch', c, (predictions, references) => exactMatch({ predictions, references }).rows),
  ],
  tokenF1: (c) => [perRow('tokenF1', c, (predictions, references) => tokenF1({ predictions, references }).rows)],
  pubmedQa: pubmedQaResults,
  entityF1: (c) => [corpusResult(entityMicroF1, c, entityRow)],
  // Neither longer nor shorter is better: what counts is the distance from the wanted length.
  lengthRatio: (c) => [
    perRow(
      'length deviation',
      c,
      (predictions, references) => lengthRatio({ predictions, references }).rows.map((ratio) => Math.abs(ratio - 1)),
      false,
    ),
  ],
  repetition: (c) => [
    {
      name: 'repetition',
      scores: Object.fromEntries(c.systems.map((s) => [s, repetition({ predictions: outputsOf(c, s) }).rows])),
      higherIsBetter: false,
    },
  ],
} satisfies Record<string, (context: EvaluateContext) => MetricResult[]>
export type MetricName = keyof typeof METRICS
export const METRIC_NAMES = Object.keys(METRICS) as MetricName[]
