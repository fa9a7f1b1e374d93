import { invalidData, parseOptions, writeFileAtomic } from '@tunesmith/core'
import type { SchemaElement } from 'hyparquet'
import { parquetWriteBuffer } from 'hyparquet-writer'
import { z } from 'zod'
import type { Row } from '../rows'
import { schemaOf, shapeOf, toStored } from './parquet-schema'

const parquetSchema = z.strictObject({
  /** Default snappy. */
  codec: z.enum(['snappy', 'uncompressed']).default('snappy'),
  /** Rows in a row group. Default 10,000. */
  rowGroupSize: z.int().positive().default(10_000),
})
export type WriteParquetOptions = z.input<typeof parquetSchema>

/**
 * Writes a Parquet file. Numbers become INT64 when all of a column are whole, else DOUBLE; lists and objects become
 * Parquet lists and structs.
 */
export async function writeParquet(
  path: string,
  rows: Iterable<unknown>,
  columns: readonly string[],
  options: WriteParquetOptions = {},
): Promise<void> {
  const { codec, rowGroupSize } = parseOptions(parquetSchema, options, 'toParquet')
  const all = [...rows] as Row[]
  if (columns.length === 0) throw invalidData('There are no columns to write', { where: path })
  const schema: SchemaElement[] = [{ name: 'root', num_children: columns.length }]
  const columnData = columns.map((name) => {
    const values = all.map((row) => row[name])
    const shape = shapeOf(values, name)
    schema.push(...schemaOf(name, shape))
    return { name, data: values.map((value) => toStored(shape, value)) }
  })
  const bytes = parquetWriteBuffer({
    columnData,
    schema,
    codec: codec === 'snappy' ? 'SNAPPY' : 'UNCOMPRESSED',
    rowGroupSize,
  })
  await writeFileAtomic(path, new Uint8Array(bytes))
}
