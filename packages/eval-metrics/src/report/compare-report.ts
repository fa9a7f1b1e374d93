import { parseOptions } from '@tunesmith/core'
import { toCsv, toJson, toMarkdown } from './exports'
import { toHtml } from './html'
import { type ReportSummary, summarize } from './summary'
import { type ReportOptions, reportSchema } from './types'

export interface Report {
  /** One self-contained page: no script, nothing to load, every text shown as text. */
  html: string
  /** All numbers and rows. */
  json: string
  /** One line per row. */
  csv: string
  /** The tables. */
  markdown: string
  /** The numbers again, for the program that asked. */
  summary: ReportSummary
}

/**
 * Compares systems on the same rows: scores with bootstrap intervals, paired tests against the baseline with corrected
 * p values, distributions, failed checks, and every row's outputs side by side with their word differences.
 *
 * @throws {TunesmithError} `invalid_options`, or `invalid_data` when a row lacks a system's output or counts differ.
 */
export function compareReport(options: ReportOptions): Report {
  const input = parseOptions(reportSchema, options, 'compareReport')
  const summary = summarize(input)
  return {
    html: toHtml(input, summary),
    json: toJson(input, summary),
    csv: toCsv(input, summary),
    markdown: toMarkdown(input, summary),
    summary,
  }
}
