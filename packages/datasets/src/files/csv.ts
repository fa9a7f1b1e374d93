import { invalidData, invalidFile } from '@tunesmith/core'
import type { Row, RowChunk } from '../rows'
import { readBytes } from './bytes'
import { type CsvRecord, CsvRecords } from './csv-records'
import { type ColumnType, convertField, PANDAS_NULLS, TypeGuess } from './csv-types'
import { LineRows } from './line-rows'
import type { ReadContext } from './reader'

const ROWS_AT_ONCE = 1000

/** The records of a file, each with the line it starts on. */
async function* readRecords(path: string, { file, options }: ReadContext): AsyncGenerator<CsvRecord> {
  const records = new CsvRecords(options.delimiter ?? ',', file)
  const decoder = new TextDecoder('utf-8', { fatal: true })
  let line = 1
  const decode = (piece?: Buffer) => {
    try {
      return decoder.decode(piece, { stream: piece !== undefined })
    } catch (error) {
      throw invalidFile('The text is not UTF-8', {
        where: `${file}, at or after line ${line}`,
        remedy: 'Save the file as UTF-8',
        cause: error,
      })
    }
  }
  for await (const piece of readBytes(path, file)) {
    yield* records.push(decode(piece))
    for (let at = piece.indexOf(10); at >= 0; at = piece.indexOf(10, at + 1)) line++
  }
  yield* records.push(decode())
  yield* records.end()
}

/** The column names, and whether they stood in the first record. */
function namesOf({ fields }: CsvRecord, { file, options }: ReadContext): string[] {
  const { header } = options
  const names = Array.isArray(header) ? header : header ? fields : fields.map((_, i) => `column_${i + 1}`)
  const twice = names.find((name, i) => names.indexOf(name) !== i)
  if (twice !== undefined)
    throw invalidFile(`Two columns are named "${twice}"`, {
      where: `${file}:1`,
      remedy: 'Rename one, or pass the names: header: [...]',
    })
  return names
}

async function guessTypes(path: string, context: ReadContext, nulls: ReadonlySet<string>): Promise<ColumnType[]> {
  const guesses: TypeGuess[] = []
  let first = context.options.header === true
  for await (const { fields } of readRecords(path, context)) {
    while (guesses.length < fields.length) guesses.push(new TypeGuess(nulls))
    if (!first) for (let i = 0; i < fields.length; i++) guesses[i]!.see(fields[i]!)
    first = false
  }
  return guesses.map((guess) => guess.type)
}

/** CSV or TSV (RFC 4180): quoted fields may hold delimiters, quotes and line breaks. An empty field is null; see {@link CsvRecords}. */
export async function* readCsv(path: string, context: ReadContext): AsyncGenerator<RowChunk<Row>> {
  const { file, options, badRow } = context
  const nulls = new Set(options.nullValues ?? (options.inferTypes ? PANDAS_NULLS : ['']))
  const types = options.inferTypes ? await guessTypes(path, context, nulls) : []
  let names: string[] | undefined
  let rows = new LineRows(context)
  for await (const record of readRecords(path, context)) {
    if (!names) {
      names = namesOf(record, context)
      if (options.header === true) continue
    }
    if (record.fields.length !== names.length) {
      badRow(
        invalidData(`The record has ${record.fields.length} fields, not ${names.length}`, {
          where: `${file}:${record.line}`,
          remedy: `The columns are: ${names.join(', ')}; quote fields that hold the delimiter, or pass onError: 'skip'`,
        }),
      )
      continue
    }
    const row: Row = {}
    for (let i = 0; i < names.length; i++) {
      const field = record.fields[i]!
      row[names[i]!] = nulls.has(field) ? null : options.inferTypes ? convertField(field, types[i]!) : field
    }
    rows.push(row, record.line)
    if (rows.length < ROWS_AT_ONCE) continue
    yield rows.chunk()
    rows = new LineRows(context)
  }
  if (rows.length > 0) yield rows.chunk()
}
