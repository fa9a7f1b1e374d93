import { invalidData } from '@tunesmith/core'
import type { z } from 'zod'
import { keepColumns } from '../dataset/columns'
import { readError } from '../files/bytes'
import { readCsv } from '../files/csv'
import { readJson } from '../files/json'
import { readJsonl } from '../files/jsonl'
import { readParquet } from '../files/parquet'
import type { FileReader, ReadContext } from '../files/reader'
import { readText } from '../files/text'
import { detectColumns } from '../formats/detect'
import type { Row, RowChunk } from '../rows'
import { rowErrorHandler, type SkipReport } from '../skipped'
import { needColumns } from '../values'
import type { ParsedLoadOptions } from './options'
import type { FileFormat, SourceFile } from './sources'

const READERS: Record<FileFormat, FileReader> = {
  json: readJson,
  jsonl: readJsonl,
  csv: readCsv,
  tsv: readCsv,
  parquet: readParquet,
  text: readText,
}

/** Keeps the named columns, null where a row has none; a column that no row of the first chunk has is an error. */
function project(chunk: RowChunk<Row>, columns: string[], file: string, first: boolean): RowChunk<Row> {
  if (first && chunk.rows.length > 0)
    needColumns(columns, [...new Set(chunk.rows.flatMap((row) => Object.keys(row)))], 'invalid_data', file)
  return { rows: chunk.rows.map(keepColumns(columns)), where: chunk.where }
}

/** Parses each row by the schema; what does not fit is named by row and column. */
function validate(chunk: RowChunk<Row>, schema: z.ZodType, badRow: ReadContext['badRow']): RowChunk<Row> {
  const rows: Row[] = []
  const kept: number[] = []
  const { where } = chunk
  chunk.rows.forEach((row, index) => {
    const result = schema.safeParse(row)
    if (result.success) {
      rows.push(result.data as Row)
      kept.push(index)
      return
    }
    const problems = result.error.issues.map(({ path, message }) =>
      path.length > 0 ? `column "${path.join('.')}": ${message}` : message,
    )
    badRow(
      invalidData(`The row does not fit the schema: ${problems.join('; ')}`, {
        where: where?.(index),
        remedy: "Mend the row or the schema, or pass onError: 'skip' to leave such rows out",
        cause: result.error,
      }),
    )
  })
  return { rows, where: (index) => where?.(kept[index]!) }
}

/** The rows of all files, one file after the other. */
export async function* readFiles(
  files: readonly SourceFile[],
  options: ParsedLoadOptions,
  report: SkipReport,
): AsyncGenerator<RowChunk<Row>> {
  const badRow = rowErrorHandler(options.onError, report)
  for (const { path, name, format } of files) {
    const context: ReadContext = {
      file: name,
      isRow: (fields) => detectColumns(fields) !== undefined,
      badRow,
      options: { ...options, delimiter: options.delimiter ?? (format === 'tsv' ? '\t' : undefined) },
    }
    let first = true
    try {
      for await (let chunk of READERS[format](path, context)) {
        if (options.columns) chunk = project(chunk, options.columns, name, first)
        first &&= chunk.rows.length === 0
        if (options.schema) chunk = validate(chunk, options.schema, badRow)
        if (chunk.rows.length > 0) yield chunk
      }
    } catch (error) {
      throw readError(error, name)
    }
  }
}
