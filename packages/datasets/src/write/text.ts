import type { FileHandle } from 'node:fs/promises'
import { invalidData, parseOptions, writeFileAtomic } from '@tunesmith/core'
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

/** JSON with what it has no word for made plain: bigint as a number (or text beyond 2^53), typed arrays as lists. */
function plain(_key: string, value: unknown): unknown {
  if (typeof value === 'bigint') return Number.isSafeInteger(Number(value)) ? Number(value) : String(value)
  if (ArrayBuffer.isView(value) && !(value instanceof DataView))
    return Array.from(value as unknown as ArrayLike<unknown>)
  return value
}

export type AnyRows = Iterable<unknown> | AsyncIterable<unknown>

export function writeJsonl(path: string, rows: AnyRows): Promise<void> {
  return writeAll(
    path,
    (async function* () {
      for await (const row of rows) yield `${JSON.stringify(row, plain)}\n`
    })(),
  )
}

export function writeJson(path: string, rows: AnyRows): Promise<void> {
  return writeAll(
    path,
    (async function* () {
      let separator = '[\n'
      for await (const row of rows) {
        yield `${separator}${JSON.stringify(row, plain)}`
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

function csvText(value: unknown): string {
  if (value === null || value === undefined) return ''
  if (typeof value === 'string') return value
  if (value instanceof Date) return value.toISOString()
  return typeof value === 'object' ? JSON.stringify(value, plain) : String(value)
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
  const field = (value: unknown) => {
    const text = csvText(value)
    const quote = text.includes(delimiter) || /["\r\n]|^\s|\s$/.test(text)
    return quote ? `"${text.replaceAll('"', '""')}"` : text
  }
  return writeAll(
    path,
    (async function* () {
      yield `${columns.map(field).join(delimiter)}\r\n`
      for await (const row of rows) {
        const line = columns.map((column) => field((row as Record<string, unknown>)[column])).join(delimiter)
        // A record of one empty field would be a blank line, which readers pass over.
        yield `${line === '' ? '""' : line}\r\n`
      }
    })(),
  )
}
