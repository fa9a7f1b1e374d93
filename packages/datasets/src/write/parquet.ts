import { parseOptions, TunesmithError, writeFileAtomic } from '@tunesmith/core'
import { type ColumnSource, parquetWriteBuffer } from 'hyparquet-writer'
import { z } from 'zod'
import type { Row } from '../rows'

const parquetSchema = z.strictObject({
  /** Default snappy. */
  codec: z.enum(['snappy', 'uncompressed']).default('snappy'),
  /** Rows in a row group. Default 10,000. */
  rowGroupSize: z.int().positive().default(10_000),
})
export type WriteParquetOptions = z.input<typeof parquetSchema>

const isInt = (value: unknown) => Number.isInteger(value) && !Object.is(value, -0)

/** The narrowest type that holds every value of a column exactly; lists and objects are written as JSON. */
function columnOf(name: string, values: unknown[]): ColumnSource {
  const present = values.filter((value) => value !== null && value !== undefined)
  const every = (test: (value: unknown) => boolean) => present.every(test)
  const data = values.map((value) => value ?? null)
  if (present.length === 0 || every((value) => typeof value === 'string')) return { name, data, type: 'STRING' }
  if (every((value) => typeof value === 'boolean')) return { name, data, type: 'BOOLEAN' }
  if (every((value) => typeof value === 'bigint' || (isInt(value) && Number.isSafeInteger(value))))
    return { name, data: data.map((value) => (value === null ? null : BigInt(value as number))), type: 'INT64' }
  if (every((value) => typeof value === 'number')) return { name, data, type: 'DOUBLE' }
  if (every((value) => value instanceof Date)) return { name, data, type: 'TIMESTAMP' }
  if (every((value) => value instanceof Uint8Array)) return { name, data, type: 'BYTE_ARRAY' }
  if (every((value) => typeof value === 'object'))
    return { name, data: data.map((value) => (value === null ? null : listsFromTyped(value))), type: 'JSON' }
  const types = [...new Set(present.map((value) => (typeof value === 'object' ? 'object' : typeof value)))]
  throw new TunesmithError(`Column "${name}" mixes ${types.join(' and ')}, which Parquet cannot hold`, {
    code: 'invalid_data',
    remedy: `Make the column one type first: dataset.cast({ ${JSON.stringify(name)}: 'string' })`,
  })
}

function listsFromTyped(value: unknown): unknown {
  return ArrayBuffer.isView(value) ? Array.from(value as unknown as ArrayLike<unknown>) : value
}

/** Writes a Parquet file. Numbers become INT64 when all of a column are whole, else DOUBLE. */
export async function writeParquet(
  path: string,
  rows: Iterable<unknown>,
  columns: readonly string[],
  options: WriteParquetOptions = {},
): Promise<void> {
  const { codec, rowGroupSize } = parseOptions(parquetSchema, options, 'toParquet')
  const all = [...rows] as Row[]
  if (columns.length === 0)
    throw new TunesmithError('There are no columns to write', { code: 'invalid_data', where: path })
  const columnData = columns.map((name) =>
    columnOf(
      name,
      all.map((row) => row[name]),
    ),
  )
  const bytes = parquetWriteBuffer({ columnData, codec: codec === 'snappy' ? 'SNAPPY' : 'UNCOMPRESSED', rowGroupSize })
  await writeFileAtomic(path, new Uint8Array(bytes))
}
