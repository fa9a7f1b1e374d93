import { csvText, markdownCell } from './escape'
import type { ReportSummary, SystemSummary } from './summary'
import type { ReportInput } from './types'

/** A score for people: three decimals, more for small ones. */
export function formatScore(value: number | null): string {
  if (value === null) return '–'
  if (!Number.isFinite(value)) return String(value)
  const size = Math.abs(value)
  return size !== 0 && size < 0.01 ? value.toPrecision(2) : value.toFixed(size >= 10 ? 2 : 3)
}

export function formatRange(low: number | null, high: number | null): string {
  return low === null || high === null ? '' : `[${formatScore(low)}, ${formatScore(high)}]`
}

export function formatDifference({ comparison }: SystemSummary): string {
  if (!comparison) return '–'
  const sign = comparison.difference > 0 ? '+' : ''
  return `${sign}${formatScore(comparison.difference)} ${formatRange(comparison.low, comparison.high)}`.trim()
}

export function formatPValue(value: number): string {
  return value < 0.001 ? '< 0.001' : value.toFixed(3)
}

/** One line per row: id, then every system's output and scores, then its failed checks. */
export function toCsv(input: ReportInput, { systems }: ReportSummary): string {
  const scored = input.metrics.flatMap((metric) =>
    systems.filter((system) => metric.scores[system]).map((system) => ({ metric, system })),
  )
  const scores = scored.map(({ metric, system }) => `${metric.name} (${system})`)
  const header = ['id', 'prompt', 'reference', ...systems, ...scores, 'failed checks']
  const failures = new Map<number, string[]>()
  for (const { row, system, check, message } of input.failures)
    failures.set(row, [...(failures.get(row) ?? []), `${system}: ${check}: ${message}`])
  const lines = input.rows.map((row, i) => [
    row.id,
    row.prompt,
    Array.isArray(row.reference) ? row.reference.join('\n') : row.reference,
    ...systems.map((system) => row.outputs[system]),
    ...scored.map(({ metric, system }) => {
      const score = metric.scores[system][i]
      return typeof score === 'number' && Number.isFinite(score) ? score : null
    }),
    failures.get(i)?.join('\n'),
  ])
  return csvText([header, ...lines])
}

/** The tables of the report, for a model card or a pull request. */
export function toMarkdown(input: ReportInput, summary: ReportSummary): string {
  const percent = Math.round(input.confidence * 100)
  const lines = [`# ${markdownCell(input.title)}`, '']
  if (input.subtitle) lines.push(markdownCell(input.subtitle), '')
  lines.push(
    `${input.rows.length} rows; baseline ${markdownCell(summary.baseline)}; ${percent}% intervals from ${input.samples} ` +
      'resamples; p values corrected by Holm’s method.',
    '',
  )
  if (summary.warning) lines.push(`**${summary.warning}**`, '')
  if (summary.metrics.length > 0) {
    lines.push('| metric | system | score | difference | p | verdict |', '| --- | --- | --- | --- | --- | --- |')
    for (const metric of summary.metrics)
      for (const system of metric.systems) {
        const { comparison } = system
        lines.push(
          `| ${markdownCell(metric.name)} ${metric.higherIsBetter ? '↑' : '↓'} | ${markdownCell(system.system)} ` +
            `| ${formatScore(system.score)} ${formatRange(system.low, system.high)} | ${formatDifference(system)} ` +
            `| ${comparison ? formatPValue(comparison.correctedPValue) : '–'} | ${comparison?.verdict ?? '–'} |`,
        )
      }
    lines.push('')
    const signed = summary.metrics.filter(({ signature }) => signature)
    for (const { name, signature } of signed)
      lines.push(`- ${markdownCell(name)}: \`${signature?.replaceAll('`', '')}\``)
    if (signed.length > 0) lines.push('')
  }
  const checks = [...new Set(input.failures.map(({ check }) => check))]
  if (checks.length > 0) {
    const count = (check: string, system: string) =>
      new Set(input.failures.filter((f) => f.check === check && f.system === system).map(({ row }) => row)).size
    lines.push('## Rows that fail a format check', '')
    lines.push(`| check | ${summary.systems.map(markdownCell).join(' | ')} |`)
    lines.push(`| --- |${' --- |'.repeat(summary.systems.length)}`)
    for (const check of checks)
      lines.push(`| ${markdownCell(check)} | ${summary.systems.map((system) => count(check, system)).join(' | ')} |`)
    lines.push('')
  }
  for (const { title, markdown } of input.sections)
    if (markdown) lines.push(`## ${markdownCell(title)}`, '', markdown, '')
  return lines.join('\n')
}

/** Everything, for programs. Scores that are not finite become null. */
export function toJson(input: ReportInput, summary: ReportSummary): string {
  const { title, subtitle, rows, failures, confidence, samples, seed } = input
  const content = {
    title,
    subtitle,
    ...summary,
    settings: { confidence, samples, seed, correction: 'holm' },
    rows: rows.map((row, i) => ({
      ...row,
      scores: Object.fromEntries(
        input.metrics.map(({ name, scores }) => [
          name,
          Object.fromEntries(Object.entries(scores).map(([system, values]) => [system, values[i]])),
        ]),
      ),
    })),
    failures,
  }
  return `${JSON.stringify(content, null, 2)}\n`
}
