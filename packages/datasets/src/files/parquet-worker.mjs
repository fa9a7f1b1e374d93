/**
 * Decodes Parquet in a thread of its own. A damaged file can send a decoder into an endless loop or ask for any amount
 * of memory; here that can be stopped from outside. Plain JavaScript, because Node runs it as it lies.
 *
 * @import { FileHandle } from 'node:fs/promises'
 * @import { ParquetScan } from 'hyparquet'
 * @typedef {{ path: string } | { group: number, columns: string[] } | { close: true }} Request
 */
import { open } from 'node:fs/promises'
import { brotliDecompressSync, gunzipSync } from 'node:zlib'
import { parquetMetadataAsync, parquetScan } from 'hyparquet'
import { compressors as portable } from 'hyparquet-compressors'

/** @typedef {(input: Uint8Array, outputLength: number) => Uint8Array} Decompress */

/**
 * A page of nulls only is empty; some codecs still write a byte for it, which not every decompressor takes.
 *
 * @param {Decompress} decompress
 * @returns {Decompress}
 */
const unlessEmpty = (decompress) => (input, outputLength) =>
  outputLength === 0 ? new Uint8Array() : decompress(input, outputLength)

/** Node's own zlib where it has the codec, since it is several times as fast. */
const compressors = Object.fromEntries(
  Object.entries({
    .../** @type {Record<string, Decompress>} */ (portable),
    /** @type {Decompress} */
    GZIP: (input, maxOutputLength) => new Uint8Array(gunzipSync(input, { maxOutputLength })),
    /** @type {Decompress} */
    BROTLI: (input, maxOutputLength) => new Uint8Array(brotliDecompressSync(input, { maxOutputLength })),
  }).map(([codec, decompress]) => [codec, unlessEmpty(decompress)]),
)

/** An error whose message is for the user as it is. @param {string} message */
const told = (message) => Object.assign(new Error(message), { told: true })

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

/**
 * 64-bit integers become numbers where a number holds them exactly, in lists and structs too; bytes are cut free from
 * the page they lie in.
 *
 * @param {unknown} value
 * @returns {unknown}
 */
function plain(value) {
  if (typeof value === 'bigint') return Number.isSafeInteger(Number(value)) ? Number(value) : value
  if (typeof value !== 'object' || value === null || value instanceof Date) return value ?? null
  if (value instanceof Uint8Array) return value.slice()
  if (Array.isArray(value) || ArrayBuffer.isView(value)) return Array.from(/** @type {never} */ (value), plain)
  for (const key in value) value[/** @type {never} */ (key)] = /** @type {never} */ (plain(value[key]))
  return value
}

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
    const value = values[i]
    if (typeof value === 'object' && value !== null) return undefined
    let number = numbers.get(value)
    if (number === undefined) {
      number = numbers.size
      numbers.set(value, number)
      if (number > 200 && number > i * 0.7) return undefined
    }
    indices[i] = number
  }
  return { dictionary: [...numbers.keys()], indices }
}

/** @param {ArrayLike<unknown>} values */
function plainColumn(values) {
  if (ArrayBuffer.isView(values) && !(values instanceof BigInt64Array || values instanceof BigUint64Array))
    return Array.from(values)
  const result = new Array(values.length)
  for (let i = 0; i < result.length; i++) {
    const value = values[i]
    result[i] = typeof value === 'string' ? value : plain(value)
  }
  return result
}

/** @type {FileHandle | undefined} */
let handle
/** @type {ParquetScan} */
let scan

/** @param {string} path */
async function openFile(path) {
  handle = await open(path)
  const { size } = await handle.stat()
  if (size === 0) throw told('The file is empty')
  const file = bufferOf(handle, size)
  const metadata = await parquetMetadataAsync(file)
  scan = await parquetScan({ file, metadata, compressors, utf8: false })
  const groups = metadata.row_groups.map((g) => ({ rows: Number(g.num_rows), bytes: Number(g.total_byte_size) }))
  return { columns: topLevelColumns(metadata.schema), groups }
}

/** @param {{ name: string, num_children?: number }[]} schema */
function topLevelColumns(schema) {
  const names = []
  let at = 1
  const skip = () => {
    const children = schema[at++]?.num_children ?? 0
    for (let i = 0; i < children && at < schema.length; i++) skip()
  }
  while (at < schema.length) {
    names.push(schema[at].name)
    skip()
  }
  return names
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
      const plainValues = plainColumn(values)
      data.push(dictionaryOf(plainValues) ?? plainValues)
    } catch (error) {
      throw Object.assign(/** @type {Error} */ (error), { column })
    }
  }
  return data
}

/** The work of a decoder's thread. @returns {(request: Request) => Promise<unknown>} */
export default () => async (request) => {
  if ('path' in request) return openFile(request.path)
  if ('group' in request) return readGroup(request.group, request.columns)
  await handle?.close()
  handle = undefined
}
