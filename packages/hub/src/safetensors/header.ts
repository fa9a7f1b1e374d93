import { invalidFile } from '@tunesmith/core'
import { JsonReader, quoted } from '../json-reader'
import { isSafetensorsDtype, type SafetensorsDtype, safetensorsDtypes, tensorByteLength } from './dtype'

/** What a file says about one tensor. */
export interface TensorInfo {
  dtype: SafetensorsDtype
  shape: number[]
  byteLength: number
  /** Where its bytes start in the file. */
  offset: number
  /** The file that holds it. */
  file: string
}

export interface SafetensorsHeader {
  /** In the order of the header. */
  tensors: Map<string, TensorInfo>
  /** The `__metadata__` strings, such as `format: 'pt'`. */
  metadata: Record<string, string>
}

/** The original reader's limit; a longer header is refused before memory is taken for it. */
export const MAX_HEADER_LENGTH = 100_000_000
const REMEDY = 'The file is damaged, incomplete or not safetensors; download or save it again'

function fail(what: string, where: string): never {
  throw invalidFile(what, { where, remedy: REMEDY })
}

/**
 * The length of the JSON header, from a file's first 8 bytes (a little-endian 64-bit number).
 *
 * @throws {TunesmithError} `invalid_file` when no file of `fileSize` bytes can hold such a header.
 */
export function parseHeaderLength(prefix: Uint8Array, fileSize: number, where: string): number {
  if (fileSize < 8 || prefix.length < 8) fail(`The file has ${fileSize} bytes, too few for a header`, where)
  const length = new DataView(prefix.buffer, prefix.byteOffset).getBigUint64(0, true)
  if (length > BigInt(fileSize - 8))
    fail(`The header claims ${length} bytes, but the file has ${fileSize - 8} after the length`, where)
  if (length > BigInt(MAX_HEADER_LENGTH))
    fail(`The header claims ${length} bytes, more than the format's limit of ${MAX_HEADER_LENGTH}`, where)
  return Number(length)
}

/**
 * Parses and checks a safetensors header, as the format demands it (github.com/huggingface/safetensors): the tensors
 * must cover the bytes after the header exactly, without holes or overlaps. A pure function that takes memory only for
 * the tensors that are named; unlike the original it refuses a tensor that is named twice.
 *
 * @param json the header's bytes, without the 8 bytes of its length.
 * @param fileSize bytes of the whole file.
 * @param where the file, for messages and for each {@link TensorInfo}.
 * @throws {TunesmithError} `invalid_file` for anything malformed.
 */
export function parseSafetensorsHeader(json: Uint8Array, fileSize: number, where: string): SafetensorsHeader {
  const reader = new JsonReader(json, where)
  const dataStart = 8 + json.length
  const tensors = new Map<string, TensorInfo>()
  const metadata: [string, string][] = []
  reader.object((name) => {
    if (name !== '__metadata__') tensors.set(name, readTensor(reader, name, dataStart, where))
    else if (!reader.isNull()) reader.object((key) => metadata.push([key, reader.string()]))
  })
  reader.end()
  checkCoverage(tensors, dataStart, fileSize, where)
  return { tensors, metadata: Object.fromEntries(metadata) }
}

function readTensor(reader: JsonReader, name: string, dataStart: number, where: string): TensorInfo {
  let dtype: string | undefined
  let shape: number[] | undefined
  let offsets: number[] | undefined
  const numbers = () => {
    const list: number[] = []
    reader.array(() => list.push(reader.wholeNumber()))
    return list
  }
  reader.object((key) => {
    if (key === 'dtype') dtype = reader.string()
    else if (key === 'shape') shape = numbers()
    else if (key === 'data_offsets') offsets = numbers()
    else reader.skip() // the original reader skips what it does not know, too
  })
  if (dtype === undefined || shape === undefined || offsets === undefined)
    return fail(`The tensor ${quoted(name)} lacks its dtype, shape or data_offsets`, where)
  if (!isSafetensorsDtype(dtype))
    return fail(
      `The tensor ${quoted(name)} has the unknown dtype ${quoted(dtype)}; known are ${safetensorsDtypes.join(', ')}`,
      where,
    )
  const [start, end] = offsets
  if (offsets.length !== 2 || start === undefined || end === undefined || start > end)
    return fail(`The tensor ${quoted(name)} has invalid data_offsets`, where)
  const byteLength = tensorByteLength(dtype, shape)
  if (byteLength !== end - start)
    return fail(
      `The tensor ${quoted(name)} has ${end - start} bytes, but ${dtype} of this shape needs ${byteLength ?? 'another number'}`,
      where,
    )
  return { dtype, shape, byteLength, offset: dataStart + start, file: where }
}

function checkCoverage(tensors: Map<string, TensorInfo>, dataStart: number, fileSize: number, where: string): void {
  const byOffset = [...tensors].sort(([, a], [, b]) => a.offset - b.offset || a.byteLength - b.byteLength)
  let covered = dataStart
  for (const [name, tensor] of byOffset) {
    if (tensor.offset !== covered)
      fail(
        `The tensor ${quoted(name)} starts at byte ${tensor.offset} where byte ${covered} was due: tensors overlap or leave a hole`,
        where,
      )
    covered += tensor.byteLength
  }
  if (covered !== fileSize) fail(`The tensors end at byte ${covered}, but the file has ${fileSize} bytes`, where)
}
