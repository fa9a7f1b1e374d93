import { join } from 'node:path'
import { parseOptions, writeFileAtomic } from '@tunesmith/core'
import { z } from 'zod'
import { checkSchema, runChecks } from '../checks/run-checks'
import { compareReport, type Report } from '../report/compare-report'
import { checkOutputs, type MetricResult, metricResultSchema, reportSchema, rowSchema } from '../report/types'
import { blindReview } from '../review/sheet'
import { METRIC_NAMES, METRICS, type MetricName } from './metrics'

const evaluateShape = {
  rows: z.array(rowSchema).min(1, 'there are no rows to evaluate'),
  /** By name; default rouge, bleu and chrf++ with references. */
  metrics: z.array(z.enum(METRIC_NAMES as [MetricName, ...MetricName[]])).default(['rouge', 'bleu', 'chrf++']),
  ...reportSchema.pick({ systems: true, baseline: true, seed: true, confidence: true }).shape,
  /** For rouge: reduce words to their stems. Default true, as summarization papers report it. */
  useStemmer: z.boolean().default(true),
  samples: z.int().min(2).default(1000),
}
const evaluateSchema = z.strictObject(evaluateShape)
export type EvaluateOptions = z.input<typeof evaluateSchema>

/**
 * Computes metrics by name for every system of the rows.
 *
 * @returns results for {@link compareReport}: scores per row, and corpus scores with intervals and paired tests where a
 *   metric is more than the mean of its rows.
 * @throws {TunesmithError} `invalid_options` for an unknown metric; `invalid_data` when a row lacks a system's output, or a
 *   reference that a metric needs.
 */
export function evaluate(options: EvaluateOptions): MetricResult[] {
  const { metrics, systems: given, baseline, ...rest } = parseOptions(evaluateSchema, options, 'evaluate')
  const names = given ?? Object.keys(rest.rows[0].outputs)
  const first = baseline ?? names[0]
  const systems = [first, ...names.filter((name) => name !== first)]
  checkOutputs(rest.rows, systems, 'evaluate')
  return metrics.flatMap((name) => METRICS[name]({ ...rest, systems }))
}

const compareSchema = z.strictObject({
  ...evaluateShape,
  checks: z.array(checkSchema).default([]),
  /** Metrics computed elsewhere: perplexity, a judge, your own. */
  results: z.array(metricResultSchema).default([]),
  ...reportSchema.pick({ title: true, subtitle: true, sections: true, sortBy: true, maxRows: true }).shape,
  /** Folder for `report.html`, `.json`, `.csv` and `.md`; default none is written. */
  outputFolder: z.string().optional(),
  /** Also write `review.html` and `review.csv` for blind review of the first two systems, and `review.key.json`. */
  blind: z.boolean().default(false),
})
export type CompareOptions = z.input<typeof compareSchema>

export interface CompareResult extends Report {
  metrics: MetricResult[]
  /** The files written. */
  files: string[]
}

/**
 * Evaluates systems, checks their outputs' format, and reports: the answer to "is it better?" in one call.
 *
 * @throws {TunesmithError} as {@link evaluate}; `io` when a file cannot be written.
 */
export async function compare(options: CompareOptions): Promise<CompareResult> {
  const parsed = parseOptions(compareSchema, options, 'compare')
  const { rows, metrics, checks, results, outputFolder, blind, useStemmer, ...report } = parsed
  const { systems, baseline, samples, seed, confidence } = report
  const computed = evaluate({ rows, metrics, systems, baseline, useStemmer, samples, seed, confidence })
  const checked = runChecks({ rows, checks })
  const passed = Object.entries(checked.passed).map(([name, scores]) => ({ name: `passes: ${name}`, scores }))
  const all: MetricResult[] = [...computed, ...results, ...passed]
  const finished = compareReport({ rows, metrics: all, failures: checked.failures, ...report })
  const files: [name: string, content: string][] = [
    ['report.html', finished.html],
    ['report.json', finished.json],
    ['report.csv', finished.csv],
    ['report.md', finished.markdown],
  ]
  if (blind) {
    const { baseline: first, systems: shown } = finished.summary
    const sheet = blindReview({ rows, systems: [first, shown.find((system) => system !== first) ?? first], seed })
    files.push(['review.html', sheet.html], ['review.csv', sheet.csv], ['review.key.json', sheet.key])
  }
  const written: string[] = []
  if (outputFolder !== undefined)
    for (const [name, content] of files) {
      const path = join(outputFolder, name)
      await writeFileAtomic(path, content)
      written.push(path)
    }
  return { ...finished, metrics: all, files: written }
}
