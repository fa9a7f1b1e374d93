import { invalidData, invalidOptions } from '@tunesmith/core'
import { bootstrapInterval, type PairedDifference, pairedBootstrap } from '../significance/bootstrap'
import { correctPValues } from '../significance/corrections'
import { checkOutputs, type ReportInput } from './types'

export interface SystemSummary {
  system: string
  /** Corpus score, or mean of the rows' scores; null when no row has one. */
  score: number | null
  low: number | null
  high: number | null
  /** Rows that have a score. */
  rows: number
  /** Against the baseline; null for the baseline itself and where there is nothing to compare. */
  comparison: Comparison | null
}

export interface Comparison {
  difference: number
  low: number | null
  high: number | null
  pValue: number
  /** Corrected by Holm's method for all comparisons of the report. */
  correctedPValue: number
  verdict: 'better' | 'worse' | 'no clear difference'
}

export interface MetricSummary {
  name: string
  higherIsBetter: boolean
  signature: string | null
  systems: SystemSummary[]
}

export interface ReportSummary {
  systems: string[]
  baseline: string
  metrics: MetricSummary[]
  /** What the reader must know about the tests; null when nothing. */
  warning: string | null
}

function checkInput(input: ReportInput): { systems: string[]; baseline: string } {
  const systems = input.systems ?? Object.keys(input.rows[0].outputs)
  const baseline = input.baseline ?? systems[0]
  const fail = (message: string, where: string) => {
    throw invalidData(message, { where })
  }
  if (systems.length === 0) fail('The rows have no outputs', 'compareReport, row 0')
  if (!systems.includes(baseline)) fail(`The baseline "${baseline}" is none of ${systems.join(', ')}`, 'compareReport')
  checkOutputs(input.rows, systems, 'compareReport')
  for (const { name, scores } of input.metrics)
    for (const [system, values] of Object.entries(scores))
      if (values.length !== input.rows.length)
        fail(`${values.length} scores for ${input.rows.length} rows`, `compareReport, metric ${name}, ${system}`)
  return { systems, baseline }
}

const isNumber = (value: unknown): value is number => typeof value === 'number' && Number.isFinite(value)

type Metric = ReportInput['metrics'][number]
type Paired = Omit<PairedDifference, 'low' | 'high'> & { low: number | null; high: number | null }

/** Difference from the baseline: given with the metric, or from the rows both systems have a score for. */
function compare(metric: Metric, baseline: string, system: string, input: ReportInput): Paired | null {
  const given = metric.differences?.[system]
  if (given) return { ...given, low: given.low ?? null, high: given.high ?? null }
  const base = metric.scores[baseline]
  const ours = metric.scores[system]
  if (system === baseline || !base || !ours || metric.corpus) return null
  const both = base.map((_, row) => row).filter((row) => isNumber(base[row]) && isNumber(ours[row]))
  if (both.length === 0) return null
  const { seed, samples, confidence } = input
  const pick = (scores: number[]) => both.map((row) => scores[row])
  return pairedBootstrap(pick(base), pick(ours), { seed, samples, confidence })
}

function summarizeSystem(metric: Metric, system: string, input: ReportInput): Omit<SystemSummary, 'comparison'> {
  const scores = (metric.scores[system] ?? []).filter(isNumber)
  const corpus = metric.corpus?.[system]
  if (corpus !== undefined) {
    const { low = null, high = null } = metric.intervals?.[system] ?? {}
    return { system, score: corpus, low, high, rows: scores.length || input.rows.length }
  }
  if (scores.length === 0) return { system, score: null, low: null, high: null, rows: 0 }
  const { seed, samples, confidence } = input
  const { mean, low, high } = bootstrapInterval(scores, { seed, samples, confidence })
  return { system, score: mean, low, high, rows: scores.length }
}

/** Scores with intervals and, against the baseline, corrected tests: all the numbers a report shows. */
export function summarize(input: ReportInput): ReportSummary {
  const { systems, baseline } = checkInput(input)
  const pairs = input.metrics.map((metric) => systems.map((system) => compare(metric, baseline, system, input)))
  const corrected = correctPValues({ pValues: pairs.flat().flatMap((pair) => (pair ? [pair.pValue] : [])) })
  const comparisons = corrected.length
  const warning =
    comparisons / (input.samples + 1) > 1 - input.confidence
      ? `${input.samples} resamples are too few for ${comparisons} comparisons: no difference can come out as clear. Raise samples.`
      : null
  let next = 0
  const metrics = input.metrics.map((metric, m) => ({
    name: metric.name,
    higherIsBetter: metric.higherIsBetter,
    signature: metric.signature ?? null,
    systems: systems.map((system, s) => {
      const pair = pairs[m][s]
      const summary = summarizeSystem(metric, system, input)
      if (!pair) return { ...summary, comparison: null }
      const correctedPValue = corrected[next++]
      const gain = metric.higherIsBetter ? pair.difference : -pair.difference
      const clear = correctedPValue < 1 - input.confidence + 1e-12 && gain !== 0
      const verdict: Comparison['verdict'] = !clear ? 'no clear difference' : gain > 0 ? 'better' : 'worse'
      return { ...summary, comparison: { ...pair, correctedPValue, verdict } }
    }),
  }))
  return { systems, baseline, metrics, warning }
}

/** A row's place in the report: by how much the chosen metric changed. */
export interface RankedRow {
  row: number
  /** Gain over the baseline of the system that changed most, positive when better; null without scores. */
  change: number | null
}

/** Rows from the greatest loss to the greatest gain; rows without scores last. */
export function rankRows(
  input: ReportInput,
  { systems, baseline }: ReportSummary,
): { metric?: string; rows: RankedRow[] } {
  const metric = input.sortBy
    ? input.metrics.find(({ name }) => name === input.sortBy)
    : input.metrics.find(({ scores }) => Object.keys(scores).length > 0)
  if (input.sortBy && !metric) {
    throw invalidOptions(`There is no metric "${input.sortBy}" to sort by`, {
      where: 'compareReport, sortBy',
      remedy: `Choose one of ${input.metrics.map(({ name }) => name).join(', ')}`,
    })
  }
  const change = (row: number): number | null => {
    const base = metric?.scores[baseline]?.[row]
    if (!metric || !isNumber(base)) return null
    const gains = systems
      .filter((system) => system !== baseline)
      .map((system) => metric.scores[system]?.[row])
      .filter(isNumber)
      .map((score) => (metric.higherIsBetter ? score - base : base - score))
    return gains.reduce<number | null>(
      (most, gain) => (most === null || Math.abs(gain) > Math.abs(most) ? gain : most),
      null,
    )
  }
  const rows = input.rows.map((_, row) => ({ row, change: change(row) }))
  rows.sort((a, b) => (a.change ?? Infinity) - (b.change ?? Infinity) || a.row - b.row)
  return { metric: metric?.name, rows }
}

/** At most `limit` rows: the first and the last ones, which are the greatest losses and gains. */
export function shownRows(rows: readonly RankedRow[], limit: number): RankedRow[] {
  if (rows.length <= limit) return [...rows]
  const head = Math.ceil(limit / 2)
  const scored = rows.filter(({ change }) => change !== null)
  const pool = scored.length >= limit ? scored : rows
  return [...pool.slice(0, head), ...pool.slice(pool.length - (limit - head))]
}
