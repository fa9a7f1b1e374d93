import type { FileHandle } from 'node:fs/promises'
import { invalidData, jsonNumberText, parseOptions, stringifyJson, writeFileAtomic } from '@tunesmith/core'
import { z } from 'zod'

const PIECE = 1 << 20

/** Writes texts in large pieces. */
async function writeAll(path: string, texts: Iterable<string> | AsyncIterable<string>): Promise<void> {
  await writeFileAtomic(path, async (file: FileHandle) => {
    let pending = ''
    for await (const text of texts) {
      pending += text
      if (pending.length < PIECE) continue
      await file.writeFile(pending)
      pending = ''
    }
    if (pending.length > 0) await file.writeFile(pending)
  })
}

export type AnyRows = Iterable<unknown> | AsyncIterable<unknown>

export function writeJsonl(path: string, rows: AnyRows): Promise<void> {
  return writeAll(
    path,
    (async function* () {
      for await (const row of rows) yield `${stringifyJson(row)}\n`
    })(),
  )
}

export function writeJson(path: string, rows: AnyRows): Promise<void> {
  return writeAll(
    path,
    (async function* () {
      let separator = '[\n'
      for await (const row of rows) {
        yield `${separator}${stringifyJson(row)}`
        separator = ',\n'
      }
      yield separator === '[\n' ? '[]\n' : '\n]\n'
    })(),
  )
}

const csvSchema = z.strictObject({
  /** Default a comma, or a tab when the name ends in `.tsv`. */
  delimiter: z.string().length(1).optional(),
})
export type WriteCsvOptions = z.input<typeof csvSchema>

function csvText(row: object, column: string): string {
  const value = (row as Record<string, unknown>)[column]
  if (value === null || value === undefined) return ''
  if (typeof value === 'string') return value
  if (value instanceof Date) return value.toISOString()
  return typeof value === 'object' ? stringifyJson(value) : (jsonNumberText(row, column) ?? String(value))
}

/** RFC 4180: CRLF between records; a field is quoted when it holds a delimiter, a quote, a line break or edge blanks. */
export function writeCsv(
  path: string,
  rows: AnyRows,
  columns: readonly string[],
  options: WriteCsvOptions = {},
): Promise<void> {
  const { delimiter = /\.tsv(\.|$)/i.test(path) ? '\t' : ',' } = parseOptions(csvSchema, options, 'toCSV')
  if (columns.length === 0) throw invalidData('There are no columns to write', { where: path })
  const field = (text: string) => {
    const quote = text.includes(delimiter) || /["\r\n]|^\s|\s$/.test(text)
    return quote ? `"${text.replaceAll('"', '""')}"` : text
  }
  return writeAll(
    path,
    (async function* () {
      yield `${columns.map(field).join(delimiter)}\r\n`
      for await (const row of rows) {
        const line = columns.map((column) => field(csvText(row as object, column))).join(delimiter)
        // A record of one empty field would be a blank line, which readers pass over.
        yield `${line === '' ? '""' : line}\r\n`
      }
    })(),
  )
}
