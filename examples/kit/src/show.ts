import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, relative } from 'node:path'

interface Notebook {
  show(item: object, print: () => void): void
}

/** Shown in a notebook as it is meant, in a terminal as text. */
function show(item: object, print: () => void): void {
  const notebook = (globalThis as { __notebook?: Notebook }).__notebook
  if (notebook) notebook.show(item, print)
  else print()
}

const short = (text: string, width: number) => {
  const flat = text.replaceAll('\n', ' ⏎ ')
  return flat.length > width ? `${flat.slice(0, width - 1)}…` : flat
}

/** A table as plain text, columns aligned; long cells are cut so that a line has about 160 characters. */
export function textTable(
  header: readonly string[],
  rows: readonly (readonly string[])[],
  width = Math.max(30, Math.floor(160 / header.length)),
): string {
  const cells = [header, ...rows].map((row) => row.map((cell) => short(cell, width)))
  const widths = header.map((_, column) => Math.max(...cells.map((row) => row[column]!.length)))
  return cells
    .map((row) =>
      row
        .map((cell, c) => cell.padEnd(widths[c]!))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}

/** A table: `rows` of cells as text, under a `header`. */
export function showTable(
  header: readonly string[],
  rows: readonly (readonly string[])[],
  { caption = '' }: { caption?: string } = {},
): void {
  show({ kind: 'table', header, rows, caption }, () => {
    process.stdout.write(`\n${caption ? `${caption}\n` : ''}${textTable(header, rows)}\n\n`)
  })
}

/** A drawing; in a terminal it is written to `file`, and its place is named. */
export function showSvg(svg: string, file: string): void {
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, svg)
  show({ kind: 'svg', svg }, () => {
    process.stdout.write(`drawn to ${relative(process.cwd(), file)}\n`)
  })
}

/** Markup of our own, with the text a terminal shows in its place. */
export function showHtml(html: string, text: string): void {
  show({ kind: 'html', html }, () => {
    process.stdout.write(`${text}\n`)
  })
}
