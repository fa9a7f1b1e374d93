import { type FileHandle, open } from 'node:fs/promises'
import { brotliDecompressSync, gunzipSync } from 'node:zlib'
import { TunesmithError } from '@tunesmith/core'
import { type AsyncBuffer, type FileMetaData, type ParquetScan, parquetMetadataAsync, parquetScan } from 'hyparquet'
import { compressors as portable } from 'hyparquet-compressors'
import type { Row, RowChunk } from '../rows'
import { fileError } from './bytes'
import type { ReadContext } from './reader'

/** Node's own zlib where it has the codec, since it is several times as fast. */
const compressors = {
  ...portable,
  GZIP: (input: Uint8Array) => new Uint8Array(gunzipSync(input)),
  BROTLI: (input: Uint8Array) => new Uint8Array(brotliDecompressSync(input)),
}

/** Row objects made at a time; the columns of a row group are decoded as a whole. */
const ROWS_AT_ONCE = 10_000

class FileBuffer implements AsyncBuffer {
  constructor(
    readonly handle: FileHandle,
    readonly byteLength: number,
    readonly file: string,
  ) {}
  async slice(start: number, end = this.byteLength): Promise<ArrayBuffer> {
    const from = start < 0 ? Math.max(0, this.byteLength + start) : start
    const bytes = new Uint8Array(Math.max(0, Math.min(end, this.byteLength) - from))
    let filled = 0
    while (filled < bytes.length) {
      const { bytesRead } = await this.handle.read(bytes, filled, bytes.length - filled, from + filled)
      if (bytesRead === 0)
        throw new TunesmithError('The file became shorter while it was read', {
          code: 'invalid_file',
          where: this.file,
        })
      filled += bytesRead
    }
    return bytes.buffer as ArrayBuffer
  }
}

function damaged(error: unknown, where: string): TunesmithError {
  const { message } = error as Error
  return new TunesmithError(`Not a readable Parquet file: ${message}`, {
    code: /unsupported|not supported/i.test(message) ? 'unsupported' : 'invalid_file',
    where,
    remedy: 'Copy or download the file again',
    cause: error,
  })
}

/** 64-bit integers become numbers where a number holds them exactly, in lists and structs too. */
function plainIntegers(value: unknown): unknown {
  if (typeof value === 'bigint') {
    const number = Number(value)
    return Number.isSafeInteger(number) ? number : value
  }
  if (typeof value !== 'object' || value === null || value instanceof Date) return value
  if (ArrayBuffer.isView(value)) return value instanceof Uint8Array ? value : Array.from(value as never, plainIntegers)
  if (Array.isArray(value)) {
    for (let i = 0; i < value.length; i++) value[i] = plainIntegers(value[i])
    return value
  }
  for (const key in value) (value as Row)[key] = plainIntegers((value as Row)[key])
  return value
}

function chooseColumns(metadata: FileMetaData, wanted: string[] | undefined, file: string): string[] {
  const known = topLevelColumns(metadata)
  if (!wanted) return known
  for (const column of wanted) {
    if (known.includes(column)) continue
    throw new TunesmithError(`There is no column "${column}"`, {
      code: 'invalid_data',
      where: file,
      remedy: `The columns are: ${known.join(', ')}`,
    })
  }
  return wanted
}

function topLevelColumns(metadata: FileMetaData): string[] {
  const names: string[] = []
  let at = 1
  const skip = () => {
    const children = metadata.schema[at++]?.num_children ?? 0
    for (let i = 0; i < children; i++) skip()
  }
  while (at < metadata.schema.length) {
    names.push(metadata.schema[at]!.name)
    skip()
  }
  return names
}

/** A Parquet file of any codec. A row group is decoded at a time, so that is what a stream holds in memory. */
export async function* readParquet(path: string, { file, options }: ReadContext): AsyncGenerator<RowChunk<Row>> {
  const handle = await open(path).catch((error: unknown) => {
    throw fileError(error, file)
  })
  try {
    const { size } = await handle.stat()
    if (size === 0) throw new TunesmithError('The file is empty', { code: 'invalid_file', where: file })
    const buffer = new FileBuffer(handle, size, file)
    let metadata: FileMetaData
    let scan: ParquetScan
    try {
      metadata = await parquetMetadataAsync(buffer)
      scan = await parquetScan({ file: buffer, metadata, compressors, utf8: false })
    } catch (error) {
      throw error instanceof TunesmithError ? error : damaged(error, file)
    }
    const columns = chooseColumns(metadata, options.columns, file)
    let groupStart = 0
    for (const [group, { num_rows }] of metadata.row_groups.entries()) {
      const place = `${file}, row group ${group}`
      const count = Number(num_rows)
      const data: ArrayLike<unknown>[] = []
      for (const column of columns) data.push(await readColumn(scan, column, groupStart, count, place))
      for (let start = 0; start < count; start += ROWS_AT_ONCE)
        yield {
          rows: makeRows(columns, data, start, Math.min(count, start + ROWS_AT_ONCE)),
          where: (index) => `${place}, row ${start + index}`,
        }
      groupStart += count
    }
  } finally {
    await handle.close()
  }
}

async function readColumn(
  scan: ParquetScan,
  column: string,
  rowStart: number,
  count: number,
  place: string,
): Promise<ArrayLike<unknown>> {
  let values: ArrayLike<unknown>
  try {
    values = await scan.readColumn({ column, rowStart, rowEnd: rowStart + count })
  } catch (error) {
    throw error instanceof TunesmithError ? error : damaged(error, `${place}, column "${column}"`)
  }
  if (values.length !== count)
    throw new TunesmithError(`The column has ${values.length} values for ${count} rows`, {
      code: 'invalid_file',
      where: `${place}, column "${column}"`,
      remedy: 'Copy or download the file again',
    })
  return values
}

function makeRows(columns: readonly string[], data: readonly ArrayLike<unknown>[], start: number, end: number): Row[] {
  const rows: Row[] = new Array(end - start)
  for (let i = start; i < end; i++) {
    const row: Row = {}
    for (let c = 0; c < columns.length; c++) {
      const value = data[c]![i]
      row[columns[c]!] = typeof value === 'string' ? value : plainIntegers(value ?? null)
    }
    rows[i - start] = row
  }
  return rows
}
