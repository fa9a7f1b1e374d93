import { setJsonSource, statRegularFile, TunesmithError } from '@tunesmith/core'
import type { Row, RowChunk } from '../rows'
import { needColumns } from '../values'
import { readError } from './bytes'
import {
  type ColumnValues,
  DecoderStopped,
  leaseDecoder,
  type ParquetColumn,
  type ParquetDecoder,
} from './parquet-decoder'
import { createMarker, sourceOfFields } from './parquet-marks'
import type { ReadContext } from './reader'

/** Row objects made at a time; the columns of a row group are decoded as a whole. */
const ROWS_AT_ONCE = 10_000
/** A row group of up to this many bytes is decoded while the one before is being used. */
const READ_AHEAD_BYTES = 2 ** 25

function failure(error: unknown, place: string): TunesmithError {
  if (error instanceof TunesmithError) return error
  const { message, code, column, told, remedy } = error as Error & {
    code?: string
    column?: string
    told?: boolean
    remedy?: string
  }
  const where = column === undefined ? place : `${place}, column "${column}"`
  if (code?.startsWith('E') && !code.startsWith('ERR_')) return readError(error, place)
  const unsupported = /unsupported|not supported/i.test(message)
  return new TunesmithError(told ? message : `Not a readable Parquet file: ${message}`, {
    code: unsupported ? 'unsupported' : 'invalid_file',
    where,
    remedy:
      remedy ?? (unsupported ? 'Write the file with another encoding or codec' : 'Copy or download the file again'),
    cause: error instanceof DecoderStopped ? undefined : error,
  })
}

/** A Parquet file of any codec. A row group is decoded at a time, so that is what a stream holds in memory. */
export async function* readParquet(path: string, { file, options }: ReadContext): AsyncGenerator<RowChunk<Row>> {
  const { size } = await statRegularFile(path, file)
  const decoder: ParquetDecoder = leaseDecoder(size)
  try {
    const { columns: known, groups } = await decoder.open(path).catch((error: unknown) => {
      throw failure(error, file)
    })
    const names = options.columns ?? known.map(({ name }) => name)
    needColumns(
      names,
      known.map(({ name }) => name),
      'invalid_data',
      file,
    )
    const columns = names.map((name) => known.find((column) => column.name === name)!)
    const read = (group: number): Promise<ColumnValues[]> | undefined => {
      if (group >= groups.length) return undefined
      const data = decoder.read(group, names, groups[group]!.bytes)
      data.catch(() => undefined) // it is awaited when its turn comes
      return data
    }
    let pending = read(0)
    for (const [group, { rows: count }] of groups.entries()) {
      const place = `${file}, row group ${group}`
      const data = await (pending ?? read(group)!).catch((error: unknown) => {
        throw failure(error, place)
      })
      pending = (groups[group + 1]?.bytes ?? 0) <= READ_AHEAD_BYTES ? read(group + 1) : undefined
      for (let start = 0; start < count; start += ROWS_AT_ONCE)
        yield {
          rows: makeRows(columns, data, start, Math.min(count, start + ROWS_AT_ONCE)),
          where: (index) => `${place}, row ${start + index}`,
        }
    }
  } finally {
    await decoder.close()
  }
}

/** Row objects of the decoded columns, with what is known of their values' text. */
function makeRows(columns: readonly ParquetColumn[], data: readonly ColumnValues[], start: number, end: number): Row[] {
  const rows: Row[] = new Array(end - start)
  const marks = columns.map(({ shape }) => shape && createMarker(shape))
  const source = sourceOfFields(columns)
  for (let i = start; i < end; i++) {
    const row: Row = {}
    for (let c = 0; c < columns.length; c++) {
      const values = data[c]!
      const value = Array.isArray(values) ? values[i] : values.dictionary[values.indices[i]!]
      const mark = marks[c]
      row[columns[c]!.name] = mark ? mark(value) : value
    }
    if (source) setJsonSource(row, source)
    rows[i - start] = row
  }
  return rows
}
