import { constants } from 'node:buffer'
import { type FileHandle, open } from 'node:fs/promises'
import {
  failAs,
  invalidFile,
  invalidOptions,
  nearestName,
  notFound,
  statRegularFile,
  unsupported,
} from '@tunesmith/core'
import { quoted } from '../json-reader'
import { dtypeBits } from './dtype'
import { parseHeaderLength, parseSafetensorsHeader, type SafetensorsHeader, type TensorInfo } from './header'

/** Tensors by name, read from disk when asked for. */
export interface TensorReader {
  readonly tensors: ReadonlyMap<string, TensorInfo>
  /** The strings a file's writer left, such as `format: 'pt'`. */
  readonly metadata: Readonly<Record<string, string>>
  /** A tensor's bytes, little-endian and row-major, in fresh memory (`byteOffset` 0, so any typed array fits on it). */
  read(name: string): Promise<Uint8Array>
  /** Reads a tensor's bytes into memory of exactly that size. */
  readInto(name: string, target: ArrayBufferView): Promise<void>
  /** Reads rows `start` to `end` (exclusive) of the first dimension. */
  readRows(name: string, start: number, end: number): Promise<Uint8Array>
  close(): Promise<void>
}

/** One read call moves at most this much; several run at once, which fills a disk's queue and copies on several cores. */
const CHUNK_BYTES = 64 * 2 ** 20

/** The tensor of that name. @throws {TunesmithError} `not_found`, with the nearest name. */
export function findTensor(tensors: ReadonlyMap<string, TensorInfo>, name: string, where: string): TensorInfo {
  const info = tensors.get(name)
  if (info) return info
  const nearest = nearestName(name, tensors.keys())
  throw notFound(`No tensor ${quoted(name)} among ${tensors.size}`, {
    where,
    remedy: nearest && `Did you mean ${quoted(nearest)}?`,
  })
}

/** An open safetensors file: the header is checked and in memory, tensors are read when asked for. */
export class SafetensorsFile implements TensorReader {
  readonly tensors: ReadonlyMap<string, TensorInfo>
  readonly metadata: Readonly<Record<string, string>>

  constructor(
    readonly path: string,
    private readonly handle: FileHandle,
    header: SafetensorsHeader,
  ) {
    this.tensors = header.tensors
    this.metadata = header.metadata
  }

  async read(name: string): Promise<Uint8Array> {
    const { offset, byteLength } = findTensor(this.tensors, name, this.path)
    const target = allocate(byteLength, name, this.path)
    await this.readRange(offset, target)
    return target
  }

  async readInto(name: string, target: ArrayBufferView): Promise<void> {
    const { offset, byteLength } = findTensor(this.tensors, name, this.path)
    if (target.byteLength !== byteLength)
      throw invalidOptions(
        `The tensor ${quoted(name)} has ${byteLength} bytes, the memory given for it ${target.byteLength}`,
        { where: this.path },
      )
    await this.readRange(offset, new Uint8Array(target.buffer, target.byteOffset, target.byteLength))
  }

  async readRows(name: string, start: number, end: number): Promise<Uint8Array> {
    const { offset, shape, dtype } = findTensor(this.tensors, name, this.path)
    const [rows = 0, ...rest] = shape
    if (!Number.isInteger(start) || !Number.isInteger(end) || start < 0 || end < start || end > rows)
      throw invalidOptions(`The tensor ${quoted(name)} of shape [${shape.join(', ')}] has no rows ${start} to ${end}`, {
        where: this.path,
      })
    const rowBits = rest.reduce((product, size) => product * size, dtypeBits(dtype))
    const [startBit, bits] = [start * rowBits, (end - start) * rowBits]
    if (startBit % 8 !== 0 || bits % 8 !== 0)
      throw unsupported(`Rows ${start} to ${end} of ${quoted(name)} (${dtype}) do not fall on whole bytes`, {
        where: this.path,
      })
    const target = allocate(bits / 8, name, this.path)
    await this.readRange(offset + startBit / 8, target)
    return target
  }

  async close(): Promise<void> {
    await this.handle.close()
  }

  private async readRange(position: number, target: Uint8Array): Promise<void> {
    const pieces: Promise<void>[] = []
    for (let start = 0; start < target.length; start += CHUNK_BYTES)
      pieces.push(readExactly(this.handle, position + start, target.subarray(start, start + CHUNK_BYTES), this.path))
    // All are awaited even when one fails, so that none writes into memory the caller already gave up.
    for (const result of await Promise.allSettled(pieces)) if (result.status === 'rejected') throw result.reason
  }
}

/** Not zeroed and not from Node's pool: every byte is read over, or the read fails. */
function allocate(byteLength: number, name: string, path: string): Uint8Array {
  if (byteLength > constants.MAX_LENGTH)
    throw unsupported(`The tensor ${quoted(name)} has ${byteLength} bytes, more than one buffer can hold`, {
      where: path,
      remedy: 'Read it in parts with readRows',
    })
  const { buffer } = Buffer.allocUnsafeSlow(byteLength)
  return new Uint8Array(buffer)
}

async function readExactly(handle: FileHandle, position: number, target: Uint8Array, path: string): Promise<void> {
  for (let done = 0; done < target.length; ) {
    const { bytesRead } = await handle
      .read(target, done, target.length - done, position + done)
      .catch(failAs(path, 'read'))
    if (bytesRead === 0)
      throw invalidFile('The file ended while it was read; was it changed meanwhile?', { where: path })
    done += bytesRead
  }
}

/**
 * Opens a safetensors file and checks its header; no tensor is read yet.
 *
 * @throws {TunesmithError} `not_found`, `io`, or `invalid_file` for a file that lies about its contents. Memory is
 *   taken only for what the file really holds.
 */
export async function openSafetensors(path: string): Promise<SafetensorsFile> {
  await statRegularFile(path)
  const handle = await open(path, 'r').catch(failAs(path, 'open'))
  try {
    const stats = await handle.stat()
    const prefix = new Uint8Array(Math.min(8, stats.size))
    await readExactly(handle, 0, prefix, path)
    const json = new Uint8Array(parseHeaderLength(prefix, stats.size, path))
    await readExactly(handle, 8, json, path)
    return new SafetensorsFile(path, handle, parseSafetensorsHeader(json, stats.size, path))
  } catch (error) {
    await handle.close()
    throw error
  }
}
