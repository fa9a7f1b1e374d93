import type { FileHandle } from 'node:fs/promises'
import { invalidOptions, parseOptions, writeFileAtomic } from '@tunesmith/core'
import { z } from 'zod'
import { isWellFormed, quoted } from '../json-reader'
import { compareDtypes, isSafetensorsDtype, type SafetensorsDtype, safetensorsDtypes, tensorByteLength } from './dtype'

/** A tensor to write. */
export interface TensorToWrite {
  name: string
  dtype: SafetensorsDtype
  shape: readonly number[]
  /**
   * Its bytes, little-endian and row-major, or a function that makes them when their turn comes: with functions only
   * one tensor at a time is in memory.
   */
  data: Uint8Array | (() => Uint8Array | Promise<Uint8Array>)
}

export type TensorsToWrite = Iterable<TensorToWrite> | AsyncIterable<TensorToWrite>

const schema = z.strictObject({
  /** Strings for `__metadata__`; transformers wants `{ format: 'pt' }`. Default none. */
  metadata: z.record(z.string(), z.string()).default({}),
})
export type WriteSafetensorsOptions = z.input<typeof schema>

/** A tensor that has been checked, with its size. */
export interface SizedTensor extends TensorToWrite {
  byteLength: number
}

function invalid(what: string, where: string): never {
  throw invalidOptions(what, { where })
}

/** Gathers and checks the tensors, before anything is written. */
export async function collectTensors(tensors: TensorsToWrite, where: string): Promise<SizedTensor[]> {
  const sized: SizedTensor[] = []
  const names = new Set<string>()
  for await (const tensor of tensors) {
    const { name, dtype, shape, data } = tensor
    if (typeof name !== 'string' || !isWellFormed(name)) invalid('A tensor needs a name of valid Unicode', where)
    if (name === '__metadata__') invalid('No tensor may be called __metadata__', where)
    if (names.has(name)) invalid(`Two tensors are called ${quoted(name)}`, where)
    names.add(name)
    if (!isSafetensorsDtype(dtype))
      invalid(`The tensor ${quoted(name)} has the dtype ${dtype}; known are ${safetensorsDtypes.join(', ')}`, where)
    const byteLength = tensorByteLength(dtype, shape)
    if (byteLength === undefined)
      invalid(`The tensor ${quoted(name)} has the shape [${shape.join(', ')}], impossible for ${dtype}`, where)
    if (typeof data !== 'function') checkLength(data, name, byteLength, where)
    sized.push({ name, dtype, shape, data, byteLength })
  }
  return sized
}

function checkLength(data: Uint8Array, name: string, byteLength: number, where: string): void {
  if (!(data instanceof Uint8Array)) invalid(`The tensor ${quoted(name)} must come as a Uint8Array of its bytes`, where)
  if (data.byteLength !== byteLength)
    invalid(`The tensor ${quoted(name)} has ${data.byteLength} bytes where its shape needs ${byteLength}`, where)
}

/** The header's bytes with their length before them, padded so that the tensors start at a multiple of 8. */
function encodeHeader(tensors: readonly SizedTensor[], metadata: Record<string, string>, where: string): Uint8Array {
  const entries: string[] = []
  if (Object.keys(metadata).length > 0) {
    for (const [key, value] of Object.entries(metadata))
      if (!isWellFormed(value) || !isWellFormed(key))
        invalid(`The metadata ${quoted(key)} must be valid Unicode`, where)
    entries.push(`"__metadata__":${JSON.stringify(metadata)}`)
  }
  let offset = 0
  for (const { name, dtype, shape, byteLength } of tensors) {
    const info = JSON.stringify({ dtype, shape, data_offsets: [offset, offset + byteLength] })
    entries.push(`${JSON.stringify(name)}:${info}`)
    offset += byteLength
  }
  const json = new TextEncoder().encode(`{${entries.join(',')}}`)
  const length = Math.ceil(json.length / 8) * 8
  const header = new Uint8Array(8 + length).fill(0x20)
  new DataView(header.buffer).setBigUint64(0, BigInt(length), true)
  header.set(json, 8)
  return header
}

/** Node writes at most 2 GiB at once, and `writev` of a handle may stop short: both are looped over here. */
async function writeAll(file: FileHandle, bytes: Uint8Array): Promise<void> {
  const CHUNK = 2 ** 30
  for (let done = 0; done < bytes.length; )
    done += (await file.write(bytes, done, Math.min(CHUNK, bytes.length - done))).bytesWritten
}

/** In the order the original writer lays tensors out: by dtype, then by the UTF-8 bytes of the name. */
function inFileOrder(tensors: readonly SizedTensor[]): SizedTensor[] {
  return [...tensors].sort(
    (a, b) => compareDtypes(a.dtype, b.dtype) || Buffer.compare(Buffer.from(a.name), Buffer.from(b.name)),
  )
}

/** Writes checked tensors to an open, empty file. */
export async function writeTensors(
  file: FileHandle,
  tensors: readonly SizedTensor[],
  metadata: Record<string, string>,
  where: string,
): Promise<void> {
  const ordered = inFileOrder(tensors)
  await writeAll(file, encodeHeader(ordered, metadata, where))
  for (const { name, data, byteLength } of ordered) {
    const bytes = typeof data === 'function' ? await data() : data
    checkLength(bytes, name, byteLength, where)
    await writeAll(file, bytes)
  }
}

/**
 * Writes a safetensors file whose bytes are those of the original writer (github.com/huggingface/safetensors 0.8) for
 * the same tensors and metadata. A reader, or a crash, sees the old file or the new one, never a part.
 *
 * @throws {TunesmithError} `invalid_options` for a tensor that does not fit its shape, a name given twice, an unknown
 *   dtype; `io`. An existing file is then untouched.
 */
export async function writeSafetensors(
  path: string,
  tensors: TensorsToWrite,
  options: WriteSafetensorsOptions = {},
): Promise<void> {
  const { metadata } = parseOptions(schema, options, 'writeSafetensors')
  const sized = await collectTensors(tensors, path)
  await writeFileAtomic(path, (file) => writeTensors(file, sized, metadata, path))
}
