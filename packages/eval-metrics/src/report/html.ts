import { escapeHtml } from '@tunesmith/core'
import { formatDifference, formatPValue, formatRange, formatScore } from './exports'
import { histogram } from './histogram'
import { PAGE_STYLE } from './page-style'
import { type RankedRow, type ReportSummary, rankRows, shownRows } from './summary'
import type { ReportInput } from './types'
import { type DiffPiece, wordDiff } from './word-diff'

// The page has no script, and this forbids any that a model's output might try to bring along.
const POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"

/** A whole page around `body`, with nothing to load. */
export function htmlPage(title: string, body: string, policy = POLICY): string {
  return (
    '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">' +
    `<meta http-equiv="Content-Security-Policy" content="${policy}">` +
    '<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="color-scheme" content="light dark">' +
    `<title>${escapeHtml(title)}</title><style>${PAGE_STYLE}</style></head>\n<body>${body}</body></html>\n`
  )
}

const section = (title: string, content: string) =>
  content === '' ? '' : `<section><h2>${escapeHtml(title)}</h2>${content}</section>\n`

/** A table whose rows become cards on a narrow screen. */
function table(header: string[], rows: string[][]): string {
  const head = header.map((cell) => `<th scope="col">${escapeHtml(cell)}</th>`).join('')
  const body = rows
    .map(
      (cells) =>
        `<tr>${cells.map((cell, i) => `<td data-label="${escapeHtml(header[i])}"><span>${cell}</span></td>`).join('')}</tr>`,
    )
    .join('')
  return `<table><thead><tr>${head}</tr></thead><tbody>${body}</tbody></table>`
}

function scoreTables({ metrics }: ReportSummary, confidence: number): string {
  const percent = `${Math.round(confidence * 100)}%`
  return metrics
    .map(({ name, higherIsBetter, signature, systems }) => {
      const rows = systems.map((system) => {
        const { comparison } = system
        const kind = comparison?.verdict.split(' ')[0] ?? ''
        return [
          escapeHtml(system.system),
          `${formatScore(system.score)} <small>${formatRange(system.low, system.high)}</small>`,
          formatDifference(system),
          comparison ? formatPValue(comparison.correctedPValue) : '–',
          comparison ? `<span class="verdict ${kind}">${comparison.verdict}</span>` : '–',
        ]
      })
      const header = ['system', `score and ${percent} interval`, 'difference', 'p, corrected', 'verdict']
      const note = signature ? `<p class="signature">${escapeHtml(signature)}</p>` : ''
      const better = higherIsBetter ? 'higher is better' : 'lower is better'
      return `<h3>${escapeHtml(name)} <small>${better}</small></h3>${table(header, rows)}${note}`
    })
    .join('')
}

function charts(input: ReportInput, { systems }: ReportSummary): string {
  const lengths = histogram({
    series: systems.map((name) => ({
      name,
      values: input.rows.map(({ outputs }) => outputs[name].match(/\S+/g)?.length ?? 0),
    })),
    title: 'Length of the outputs',
    xLabel: 'words',
  })
  const scores = input.metrics.flatMap((metric) => {
    const series = systems
      .filter((name) => metric.scores[name])
      .map((name) => ({ name, values: metric.scores[name].filter(Number.isFinite) as number[] }))
    return series.length === 0 ? [] : [histogram({ series, title: metric.name, xLabel: 'score of a row' })]
  })
  return `<div class="charts">${[lengths, ...scores].map((chart) => `<figure>${chart}</figure>`).join('')}</div>`
}

function failureTables({ failures, rows }: ReportInput, { systems }: ReportSummary): string {
  const checks = [...new Set(failures.map(({ check }) => check))]
  if (checks.length === 0) return ''
  const failed = (check: string, system: string) => failures.filter((f) => f.check === check && f.system === system)
  const counts = checks.map((check) => [
    escapeHtml(check),
    ...systems.map((system) => `${new Set(failed(check, system).map(({ row }) => row)).size} of ${rows.length}`),
  ])
  const details = checks.flatMap((check) =>
    systems.map((system) => {
      const list = failed(check, system)
      const shown = list
        .slice(0, 50)
        .map((f) => `<li>row ${escapeHtml(String(rows[f.row]?.id ?? f.row))}: ${escapeHtml(f.message)}</li>`)
      const more = list.length > shown.length ? `<li>and ${list.length - shown.length} more, all in the JSON</li>` : ''
      if (list.length === 0) return ''
      return `<details><summary>${escapeHtml(check)}: ${escapeHtml(system)}, ${list.length}</summary><ul>${shown.join('')}${more}</ul></details>`
    }),
  )
  return table(['check', ...systems], counts) + details.join('')
}

const marked = (pieces: DiffPiece[], tag: 'del' | 'ins') =>
  pieces.map(({ text, changed }) => (changed ? `<${tag}>${escapeHtml(text)}</${tag}>` : escapeHtml(text))).join('')

function outputsOf(input: ReportInput, summary: ReportSummary, row: number): string {
  const { outputs } = input.rows[row]
  const { baseline, systems } = summary
  const scoresOf = (system: string) =>
    input.metrics
      .flatMap(({ name, scores }) => {
        const score = scores[system]?.[row]
        return typeof score === 'number' && Number.isFinite(score) ? [`${escapeHtml(name)} ${formatScore(score)}`] : []
      })
      .join(' · ')
  const failed = (system: string) =>
    input.failures
      .filter((f) => f.row === row && f.system === system)
      .map((f) => `<p class="failed">${escapeHtml(f.check)}: ${escapeHtml(f.message)}</p>`)
      .join('')
  const column = (system: string, content: string) =>
    `<div class="output"><h4>${escapeHtml(system)}</h4><p class="scores">${scoresOf(system)}</p>${failed(system)}` +
    `<pre>${content === '' ? '<em>empty</em>' : content}</pre></div>`
  const others = systems.filter((system) => system !== baseline)
  const diffs = others.map((system) => wordDiff(outputs[baseline], outputs[system]))
  // With several systems there is no single set of words the baseline lost.
  const base = others.length === 1 ? marked(diffs[0].before, 'del') : escapeHtml(outputs[baseline])
  return [column(baseline, base), ...others.map((system, i) => column(system, marked(diffs[i].after, 'ins')))].join('')
}

function rowDetails(input: ReportInput, summary: ReportSummary, { row, change }: RankedRow): string {
  const { id, prompt, reference } = input.rows[row]
  const sign = change !== null && change > 0 ? '+' : ''
  const kind = change === null || change === 0 ? '' : change > 0 ? 'better' : 'worse'
  const badge = change === null ? '' : `<span class="verdict ${kind}">${sign}${formatScore(change)}</span> `
  const block = (title: string, text: string) =>
    `<div class="context"><h4>${title}</h4><pre>${escapeHtml(text)}</pre></div>`
  const references = reference === undefined ? [] : [reference].flat()
  return (
    `<details class="row"><summary>${badge}<b>${escapeHtml(String(id))}</b> ` +
    `<span class="preview">${escapeHtml((prompt ?? '').slice(0, 160))}</span></summary>` +
    (prompt === undefined ? '' : block('prompt', prompt)) +
    references.map((text, i) => block(references.length > 1 ? `reference ${i + 1}` : 'reference', text)).join('') +
    `<div class="outputs">${outputsOf(input, summary, row)}</div></details>`
  )
}

/** The report as one page. */
export function toHtml(input: ReportInput, summary: ReportSummary): string {
  const ranked = rankRows(input, summary)
  const shown = shownRows(ranked.rows, input.maxRows)
  const left = input.rows.length - shown.length
  const order = ranked.metric ? `Sorted by change in ${ranked.metric}, greatest losses first. ` : ''
  const hidden = left > 0 ? `${left} rows in between are left out here; the JSON and CSV have all. ` : ''
  const legend = 'Words only one side has are marked.'
  const opened = shown.map((row) => rowDetails(input, summary, row)).join('')
  const intro =
    `${input.rows.length} rows, baseline <b>${escapeHtml(summary.baseline)}</b>. Intervals and p values from ` +
    `${input.samples} paired resamples (seed ${input.seed}); p values are corrected for all comparisons on this page ` +
    '(Holm). “No clear difference” means these rows cannot tell, not that the systems are equal.'
  const warning = summary.warning ? `<p class="failed">${escapeHtml(summary.warning)}</p>` : ''
  return htmlPage(
    input.title,
    `<header><h1>${escapeHtml(input.title)}</h1><p>${escapeHtml(input.subtitle)}</p><p>${intro}</p>${warning}</header>\n<main>` +
      section('Scores', scoreTables(summary, input.confidence)) +
      section('Format checks', failureTables(input, summary)) +
      input.sections.map(({ title, html }) => section(title, html)).join('') +
      section('Distributions', charts(input, summary)) +
      section('Rows', `<p>${escapeHtml(order + hidden + legend)}</p>${opened}`) +
      '</main>',
  )
}
