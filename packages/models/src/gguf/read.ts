import { closeSync, fstatSync, openSync, readSync } from 'node:fs'
import { failAs, invalidFile, statRegularFile, unsupported } from '@tunesmith/core'

/** A value of the metadata; 64-bit numbers that a double cannot hold are bigints. */
export type GgufReadValue = number | bigint | boolean | string | readonly GgufReadValue[]

export interface GgufTensorInfo {
  name: string
  /** ggml's name in lower case, such as `q4_k`; `type 99` for a number that is not known. */
  type: string
  /** Row-major: `[rows, columns]`. */
  shape: readonly number[]
  /** Of its first byte in the file. */
  offset: number
  /** Undefined for an unknown type. */
  bytes: number | undefined
}

/** The head of a GGUF file: everything but the weights. */
export interface GgufHead {
  version: number
  metadata: ReadonlyMap<string, GgufReadValue>
  tensors: readonly GgufTensorInfo[]
  /** Bytes of the whole file. */
  bytes: number
}

/** ggml's types by number: name, elements of a block, its bytes. */
const TYPES: Readonly<Record<number, readonly [name: string, size: number, bytes: number]>> = {
  ...{ 0: ['f32', 1, 4], 1: ['f16', 1, 2], 2: ['q4_0', 32, 18], 3: ['q4_1', 32, 20], 6: ['q5_0', 32, 22] },
  ...{ 7: ['q5_1', 32, 24], 8: ['q8_0', 32, 34], 10: ['q2_k', 256, 84], 11: ['q3_k', 256, 110] },
  ...{ 12: ['q4_k', 256, 144], 13: ['q5_k', 256, 176], 14: ['q6_k', 256, 210] },
  ...{ 16: ['iq2_xxs', 256, 66], 17: ['iq2_xs', 256, 74], 18: ['iq3_xxs', 256, 98], 19: ['iq1_s', 256, 50] },
  ...{ 20: ['iq4_nl', 32, 18], 21: ['iq3_s', 256, 110], 22: ['iq2_s', 256, 82], 23: ['iq4_xs', 256, 136] },
  ...{ 24: ['i8', 1, 1], 25: ['i16', 1, 2], 26: ['i32', 1, 4], 27: ['i64', 1, 8], 28: ['f64', 1, 8] },
  ...{
    29: ['iq1_m', 256, 56],
    30: ['bf16', 1, 2],
    34: ['tq1_0', 256, 54],
    35: ['tq2_0', 256, 66],
    39: ['mxfp4', 32, 17],
  },
}
const MAGIC = 0x46554747
const CHUNK = 1 << 20
/** Arrays in arrays have no use that is known. */
const DEEPEST = 3

/** Reads a file from its beginning, so much at a time as is asked for. */
class Reader {
  #buffer = Buffer.alloc(0)
  #at = 0
  #read = 0

  constructor(
    readonly path: string,
    readonly file: number,
    readonly size: number,
  ) {}

  /** Bytes taken. */
  get position(): number {
    return this.#read - (this.#buffer.length - this.#at)
  }

  /** @throws {TunesmithError} `invalid_file` when the file ends before. */
  take(bytes: number): Buffer {
    if (bytes > this.size - this.position) throw this.truncated(`${bytes} bytes are wanted at ${this.position}`)
    if (this.#at + bytes > this.#buffer.length) {
      const rest = this.#buffer.subarray(this.#at)
      const next = Buffer.alloc(Math.min(Math.max(CHUNK, bytes - rest.length), this.size - this.#read))
      const got = readSync(this.file, next, 0, next.length, this.#read)
      this.#read += got
      this.#buffer = Buffer.concat([rest, next.subarray(0, got)])
      this.#at = 0
      if (bytes > this.#buffer.length) throw this.truncated('it got shorter while it was read')
    }
    this.#at += bytes
    return this.#buffer.subarray(this.#at - bytes, this.#at)
  }

  truncated(why: string) {
    return invalidFile(`The GGUF file ends too early: ${why}, and it has ${this.size}`, {
      where: this.path,
      remedy: 'It was not copied or downloaded to the end; get it again',
    })
  }

  damaged(why: string) {
    return invalidFile(`The GGUF file is damaged: ${why}`, { where: this.path, remedy: 'Get it again' })
  }

  u32 = (): number => this.take(4).readUInt32LE()
  /** A length or an offset. */
  count(what: string): number {
    const value = this.take(8).readBigUInt64LE()
    if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw this.damaged(`${what} is ${value}`)
    return Number(value)
  }
  string(): string {
    return this.take(this.count('the length of a text')).toString('utf8')
  }
}

const wide = (value: bigint) => (BigInt.asIntN(54, value) === value ? Number(value) : value)
/** By the number of the type: bytes at least, and how a value is read. */
const SCALARS: Readonly<Record<number, readonly [bytes: number, read: (reader: Reader) => GgufReadValue]>> = {
  0: [1, (r) => r.take(1).readUInt8()],
  1: [1, (r) => r.take(1).readInt8()],
  2: [2, (r) => r.take(2).readUInt16LE()],
  3: [2, (r) => r.take(2).readInt16LE()],
  4: [4, (r) => r.u32()],
  5: [4, (r) => r.take(4).readInt32LE()],
  6: [4, (r) => r.take(4).readFloatLE()],
  7: [1, (r) => r.take(1).readUInt8() !== 0],
  8: [8, (r) => r.string()],
  10: [8, (r) => wide(r.take(8).readBigUInt64LE())],
  11: [8, (r) => wide(r.take(8).readBigInt64LE())],
  12: [8, (r) => r.take(8).readDoubleLE()],
}

function readValue(reader: Reader, type: number, key: string, depth = 0): GgufReadValue {
  const scalar = SCALARS[type]
  if (scalar) return scalar[1](reader)
  if (type !== 9 || depth === DEEPEST) throw reader.damaged(`"${key.slice(0, 80)}" has the type ${type}`)
  const of = reader.u32()
  const length = reader.count(`the length of "${key.slice(0, 80)}"`)
  const least = (SCALARS[of]?.[0] ?? 12) * length
  if (least > reader.size - reader.position) throw reader.truncated(`"${key.slice(0, 80)}" has ${length} elements`)
  return Array.from({ length }, () => readValue(reader, of, key, depth + 1))
}

/**
 * Reads the head of a GGUF file, versions 2 and 3, and checks that all tensors lie in the file.
 *
 * @throws {TunesmithError} `not_found`, `io`; `invalid_file` for what is no GGUF file, is damaged or ends too early; `unsupported` for a version.
 */
export async function readGgufHead(path: string): Promise<GgufHead> {
  await statRegularFile(path)
  let file: number
  try {
    file = openSync(path, 'r')
  } catch (error) {
    return failAs(path, 'read')(error)
  }
  try {
    return readHead(new Reader(path, file, fstatSync(file).size))
  } finally {
    closeSync(file)
  }
}

function readHead(reader: Reader): GgufHead {
  const { path, size } = reader
  if (size < 24 || reader.u32() !== MAGIC)
    throw invalidFile('This is no GGUF file', { where: path, remedy: 'Name one that begins with "GGUF"' })
  const version = reader.u32()
  if (version !== 2 && version !== 3)
    throw unsupported(
      version > 0xffff ? 'The GGUF file is of a machine with the other order of bytes' : `GGUF has version ${version}`,
      { where: path, remedy: 'Convert it with a recent llama.cpp; versions 2 and 3 are read' },
    )
  const tensorCount = reader.count('the number of tensors')
  const keyCount = reader.count('the number of keys')
  // A tensor takes 32 bytes at least, a key 13.
  if (tensorCount * 32 + keyCount * 13 > size)
    throw reader.truncated(`it announces ${tensorCount} tensors and ${keyCount} keys`)
  const metadata = new Map<string, GgufReadValue>()
  for (let i = 0; i < keyCount; i++) {
    const key = reader.string()
    metadata.set(key, readValue(reader, reader.u32(), key))
  }
  const alignment = metadata.get('general.alignment') ?? 32
  if (typeof alignment !== 'number' || alignment < 1 || (alignment & (alignment - 1)) !== 0)
    throw reader.damaged(`general.alignment is ${String(alignment)}`)
  const found = Array.from({ length: tensorCount }, () => readTensor(reader))
  const start = Math.ceil(reader.position / alignment) * alignment
  const tensors = found.map((tensor) => ({ ...tensor, offset: start + tensor.offset }))
  for (const { name, offset, bytes = 0 } of tensors)
    if (offset + bytes > size) throw reader.truncated(`"${name}" ends at ${offset + bytes}`)
  return { version, metadata, tensors, bytes: size }
}

function readTensor(reader: Reader): GgufTensorInfo {
  const name = reader.string()
  const dimensions = reader.u32()
  if (dimensions < 1 || dimensions > 4) throw reader.damaged(`"${name.slice(0, 80)}" has ${dimensions} dimensions`)
  const shape = Array.from({ length: dimensions }, () => reader.count(`a size of "${name.slice(0, 80)}"`)).reverse()
  const number = reader.u32()
  const offset = reader.count(`the place of "${name.slice(0, 80)}"`)
  const known = TYPES[number]
  if (!known) return { name, type: `type ${number}`, shape, offset, bytes: undefined }
  const [type, size, bytes] = known
  if (shape.at(-1)! % size !== 0)
    throw reader.damaged(`rows of ${shape.at(-1)} in "${name.slice(0, 80)}" are no whole blocks of ${type}`)
  const elements = shape.reduce((product, n) => product * n, 1)
  return { name, type, shape, offset, bytes: (elements / size) * bytes }
}
