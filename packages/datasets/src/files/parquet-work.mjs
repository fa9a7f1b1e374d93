/**
 * Decodes Parquet in a process of its own: a damaged file can send a decoder into an endless loop, or ask for more memory
 * than the engine can stand. Plain JavaScript, because Node runs the file itself.
 *
 * @import { FileHandle } from 'node:fs/promises'
 * @import { ParquetScan } from 'hyparquet'
 * @import { Column } from './parquet-values.mjs'
 * @typedef {{ path: string } | { group: number, columns: string[] } | { close: true }} Request
 */

import { constants } from 'node:buffer'
import { open } from 'node:fs/promises'
import { brotliDecompressSync, gunzipSync } from 'node:zlib'
import { parquetMetadataAsync, parquetScan, parquetSchema } from 'hyparquet'
import { compressors as portable } from 'hyparquet-compressors'
import { columnsOf, told, tooLong } from './parquet-values.mjs'

/** @typedef {(input: Uint8Array, outputLength: number) => Uint8Array} Decompress */

/**
 * A page of nulls only is empty; some codecs still write a byte for it, which not every decompressor takes. A page is about
 * a megabyte; one longer than any text holds a single long value, or is damaged.
 *
 * @param {Decompress} decompress
 * @returns {Decompress}
 */
const bounded = (decompress) => (input, outputLength) => {
  if (outputLength > constants.MAX_STRING_LENGTH) throw tooLong(outputLength)
  return outputLength === 0 ? new Uint8Array() : decompress(input, outputLength)
}

/** Node's own zlib where it has the codec, since it is several times as fast. */
const compressors = Object.fromEntries(
  Object.entries({
    .../** @type {Record<string, Decompress>} */ (portable),
    /** @type {Decompress} */
    GZIP: (input, maxOutputLength) => new Uint8Array(gunzipSync(input, { maxOutputLength })),
    /** @type {Decompress} */
    BROTLI: (input, maxOutputLength) => new Uint8Array(brotliDecompressSync(input, { maxOutputLength })),
  }).map(([codec, decompress]) => [codec, bounded(decompress)]),
)

/** @param {FileHandle} handle @param {number} byteLength */
function bufferOf(handle, byteLength) {
  return {
    byteLength,
    /** @param {number} start @param {number} [end] */
    async slice(start, end = byteLength) {
      const from = start < 0 ? Math.max(0, byteLength + start) : start
      const bytes = new Uint8Array(Math.max(0, Math.min(end, byteLength) - from))
      for (let filled = 0; filled < bytes.length; ) {
        const { bytesRead } = await handle.read(bytes, filled, bytes.length - filled, from + filled)
        if (bytesRead === 0) throw told('The file became shorter while it was read')
        filled += bytesRead
      }
      return bytes.buffer
    },
  }
}

/** A map takes 0 and -0 for one key. */
const MINUS_ZERO = Symbol()

/**
 * A column of texts as its different texts and their numbers: sending a text costs more than finding that it has been
 * sent. Undefined when most texts differ.
 *
 * @param {unknown[]} values
 */
function dictionaryOf(values) {
  /** @type {Map<unknown, number>} */
  const numbers = new Map()
  const indices = new Uint32Array(values.length)
  for (let i = 0; i < values.length; i++) {
    const value = Object.is(values[i], -0) ? MINUS_ZERO : values[i]
    if (typeof value === 'object' && value !== null) return undefined
    let number = numbers.get(value)
    if (number === undefined) {
      number = numbers.size
      numbers.set(value, number)
      if (number > 200 && number > i * 0.7) return undefined
    }
    indices[i] = number
  }
  return { dictionary: Array.from(numbers.keys(), (value) => (value === MINUS_ZERO ? -0 : value)), indices }
}

/** @param {ArrayLike<unknown>} values @param {Column} column */
function convertColumn(values, { convert }) {
  if (ArrayBuffer.isView(values) && !(values instanceof BigInt64Array || values instanceof BigUint64Array))
    return Array.from(values)
  const result = new Array(values.length)
  for (let i = 0; i < result.length; i++) {
    const value = values[i]
    result[i] = typeof value === 'string' ? value : convert(value)
  }
  return result
}

/** @type {FileHandle | undefined} */
let handle
/** @type {ParquetScan} */
let scan
/** @type {Map<string, Column>} */
let known

/** @param {string} path */
async function openFile(path) {
  handle = await open(path)
  const { size } = await handle.stat()
  if (size === 0) throw told('The file is empty')
  const file = bufferOf(handle, size)
  const metadata = await parquetMetadataAsync(file)
  const columns = columnsOf(parquetSchema(metadata))
  known = new Map(columns.map((column) => [column.name, column]))
  scan = await parquetScan({ file, metadata, compressors, utf8: false, parsers: { stringFromBytes } })
  const groups = metadata.row_groups.map((g) => ({ rows: Number(g.num_rows), bytes: Number(g.total_byte_size) }))
  return { columns: columns.map(({ name, shape }) => ({ name, shape })), groups }
}

const decoder = new TextDecoder()

/** @param {Uint8Array} bytes */
function stringFromBytes(bytes) {
  if (bytes && bytes.length > constants.MAX_STRING_LENGTH) throw tooLong(bytes.length)
  return bytes && decoder.decode(bytes)
}

/** @param {number} group @param {string[]} columns */
async function readGroup(group, columns) {
  const before = scan.metadata.row_groups.slice(0, group).reduce((sum, g) => sum + Number(g.num_rows), 0)
  const count = Number(scan.metadata.row_groups[group].num_rows)
  const data = []
  for (const column of columns) {
    try {
      const values = await scan.readColumn({ column, rowStart: before, rowEnd: before + count })
      if (values.length !== count) throw new Error(`it has ${values.length} values for ${count} rows`)
      const converted = convertColumn(values, /** @type {Column} */ (known.get(column)))
      data.push(dictionaryOf(converted) ?? converted)
    } catch (error) {
      throw Object.assign(/** @type {Error} */ (error), { column })
    }
  }
  return data
}

/** @param {Request} request */
export default async function work(request) {
  if ('path' in request) return openFile(request.path)
  if ('group' in request) return readGroup(request.group, request.columns)
  await handle?.close()
  handle = undefined
}
