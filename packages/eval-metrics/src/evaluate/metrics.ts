import { TunesmithError } from '@tunesmith/core'
import { DECISIONS, type Decision, pubmedQa } from '../answers/pubmedQa'
import { exactMatch, tokenF1 } from '../answers/squad'
import { bioTags } from '../entities/bioLines'
import { entityF1 } from '../entities/entityF1'
import type { EvalRow, MetricResult } from '../report/types'
import { rouge } from '../rouge/rouge'
import type { RougeType } from '../rouge/score'
import { bleuMetric, sentenceBleu } from '../sacrebleu/bleu'
import { chrfMetric, sentenceChrf } from '../sacrebleu/chrf'
import type { CorpusMetric } from '../sacrebleu/metric'
import { sentenceTer, terMetric } from '../sacrebleu/ter'
import { compareCorpusScores } from '../significance/corpusComparison'
import { lengthRatio, repetition } from '../texts/diversity'

export interface EvaluateContext {
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
    throw new TunesmithError(`The metric "${metric}" needs a reference`, {
      code: 'invalid_data',
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

/** A sacrebleu metric: the corpus score decides, single sentences only sort the rows. */
function corpusResult(
  name: string,
  metric: CorpusMetric,
  context: EvaluateContext,
  sentence: (prediction: string, reference: string[]) => number,
): MetricResult {
  const references = referencesOf(context, name)
  const { systems } = context
  const outputs = systems.map((s) => outputsOf(context, s))
  const compared = compareCorpusScores(metric, outputs, references, context)
  const by = <Value>(values: Value[]) => Object.fromEntries(systems.map((s, i) => [s, values[i]]))
  return {
    name,
    scores: by(outputs.map((list) => list.map((text, row) => sentence(text, references[row])))),
    corpus: by(compared.map(({ score }) => score)),
    intervals: by(compared.map(({ low, high }) => ({ low, high }))),
    differences: Object.fromEntries(systems.flatMap((s, i) => (compared[i].paired ? [[s, compared[i].paired]] : []))),
    higherIsBetter: metric.higherIsBetter,
    signature: metric.signature(references).signature,
  }
}

function pubmedQaResult(context: EvaluateContext): MetricResult[] {
  const references = referencesOf(context, 'pubmedQa').map(([text], row) => {
    const decision = DECISIONS.find((label) => label === text.trim().toLowerCase())
    if (decision) return decision
    throw new TunesmithError(`The reference of pubmedQa is none of ${DECISIONS.join(', ')}`, {
      code: 'invalid_data',
      where: `evaluate, row ${row}`,
    })
  })
  const results = context.systems.map((s) => pubmedQa({ predictions: outputsOf(context, s), references }))
  const by = <Value>(value: (i: number) => Value) => Object.fromEntries(context.systems.map((s, i) => [s, value(i)]))
  const right = (decision: Decision | null, row: number) => (decision === references[row] ? 1 : 0)
  return [
    { name: 'pubmedQa accuracy', scores: by((i) => results[i].decisions.map(right)) },
    { name: 'pubmedQa macro F1', corpus: by((i) => results[i].macroF1) },
  ]
}

function entityResult(context: EvaluateContext): MetricResult {
  const wanted = referencesOf(context, 'entityF1').map(([text], row) => {
    const lines = text.split('\n').filter((line) => line.trim() !== '')
    const tagged = lines.map((line) => /^(.*\S)\s+:\s+([BI]-\S+|O)\s*$/.exec(line))
    const bad = tagged.indexOf(null)
    if (bad !== -1) {
      throw new TunesmithError(`The reference's line ${bad + 1} is not "token : TAG"`, {
        code: 'invalid_data',
        where: `evaluate, row ${row}`,
      })
    }
    return { tokens: tagged.map((match) => match?.[1] ?? ''), tags: tagged.map((match) => match?.[2] ?? 'O') }
  })
  const results = context.systems.map((s) =>
    entityF1({
      predictions: outputsOf(context, s).map((answer, row) => bioTags({ tokens: wanted[row].tokens, answer }).tags),
      references: wanted.map(({ tags }) => tags),
    }),
  )
  const by = <Value>(value: (i: number) => Value) => Object.fromEntries(context.systems.map((s, i) => [s, value(i)]))
  return {
    name: 'entityF1',
    scores: by((i) => results[i].rows),
    corpus: by((i) => results[i].micro.f1),
    signature: 'micro F1 of whole entities, as seqeval',
  }
}

/** What `evaluate` can compute by name. All but `repetition` need references. */
export const METRICS = {
  rouge: rougeResults,
  bleu: (c) => [
    corpusResult('BLEU', bleuMetric(), c, (prediction, reference) => sentenceBleu({ prediction, reference }).score),
  ],
  chrf: (c) => [
    corpusResult('chrF2', chrfMetric(), c, (prediction, reference) => sentenceChrf({ prediction, reference })),
  ],
  'chrf++': (c) => [
    corpusResult('chrF2++', chrfMetric({ wordOrder: 2 }), c, (prediction, reference) =>
      sentenceChrf({ prediction, reference, wordOrder: 2 }),
    ),
  ],
  ter: (c) => [corpusResult('TER', terMetric(), c, (prediction, reference) => sentenceTer({ prediction, reference }))],
  exactMatch: (c) => [
    perRow('exactMatch', c, (predictions, references) => exactMatch({ predictions, references }).rows),
  ],
  tokenF1: (c) => [perRow('tokenF1', c, (predictions, references) => tokenF1({ predictions, references }).rows)],
  pubmedQa: pubmedQaResult,
  entityF1: (c) => [entityResult(c)],
  lengthRatio: (c) => [
    perRow('lengthRatio', c, (predictions, references) => lengthRatio({ predictions, references }).rows),
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
