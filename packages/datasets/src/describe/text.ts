import type { DatasetDescription } from './describe'

const number = (value: number) => (Math.round(value * 10) / 10).toLocaleString('en-US')

function table(rows: string[][]): string[] {
  const widths = rows[0]!.map((_, c) => Math.max(...rows.map((row) => row[c]!.length)))
  return rows.map((row) =>
    `  ${row.map((cell, c) => (c === 0 ? cell.padEnd(widths[c]!) : cell.padStart(widths[c]!))).join('  ')}`.trimEnd(),
  )
}

/** A description as plain text for a terminal. */
export function descriptionText(description: DatasetDescription): string {
  const { rows, columns, duplicates, format, incomplete, lengths, exceeding, classes, overlap } = description
  const share = (count: number) => `${number(count)} (${rows === 0 ? 0 : number((count / rows) * 100)}%)`
  const lines = [`${number(rows)} rows`, `format: ${format}`, '', 'columns']
  lines.push(
    ...table([
      ['name', 'type', 'null', 'different'],
      ...columns.map((c) => [c.name, c.types.join('|') || 'null', number(c.nulls), number(c.unique)]),
    ]),
  )
  lines.push('', `repeated rows: ${share(duplicates)}`)
  if (incomplete > 0) lines.push(`rows without a part they need: ${share(incomplete)}`)
  const parts = Object.entries(lengths.parts)
  if (parts.length > 0) {
    lines.push('', `${lengths.unit} in each row`)
    lines.push(
      ...table([
        ['part', 'mean', 'min', 'p50', 'p90', 'p95', 'p99', 'max'],
        ...parts.map(([part, { mean, min, max, percentiles: p }]) => [
          part,
          ...[mean, min, p[50], p[90], p[95], p[99], max].map(number),
        ]),
      ]),
    )
  }
  if (exceeding) lines.push(`longer than ${number(exceeding.maxLength)} ${lengths.unit}: ${share(exceeding.rows)}`)
  for (const { column, counts } of classes) {
    const total = counts.reduce((sum, { count }) => sum + count, 0)
    lines.push('', `${column}`)
    lines.push(
      ...table(
        counts
          .slice(0, 10)
          .map(({ value, count }) => [String(value).slice(0, 60), number(count), `${number((count / total) * 100)}%`]),
      ),
    )
    if (counts.length > 10) lines.push(`  and ${counts.length - 10} more`)
  }
  if (overlap)
    lines.push(
      '',
      `found in the other data set (by ${overlap.column}): ${share(overlap.exact)} exactly, ${share(overlap.near)} nearly`,
    )
  return `${lines.join('\n')}\n`
}
