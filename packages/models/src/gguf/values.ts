/** Values of a GGUF file's metadata and their bytes (ggml's docs/gguf.md): little-endian, strings with their length before them. */

const TYPES = { u32: 4, i32: 5, f32: 6, bool: 7, string: 8, array: 9 } as const
type Scalar = 'u32' | 'i32' | 'f32' | 'bool' | 'string'

export type GgufValue =
  | { type: 'u32' | 'i32' | 'f32'; value: number }
  | { type: 'bool'; value: boolean }
  | { type: 'string'; value: string }
  | { type: 'array'; of: Scalar; value: readonly (number | boolean | string)[] }

export const u32 = (value: number): GgufValue => ({ type: 'u32', value })
export const f32 = (value: number): GgufValue => ({ type: 'f32', value })
export const bool = (value: boolean): GgufValue => ({ type: 'bool', value })
export const string = (value: string): GgufValue => ({ type: 'string', value })
export const strings = (value: readonly string[]): GgufValue => ({ type: 'array', of: 'string', value })
export const floats = (value: readonly number[]): GgufValue => ({ type: 'array', of: 'f32', value })
export const integers = (value: readonly number[]): GgufValue => ({ type: 'array', of: 'i32', value })

/** Bytes put one after another into memory that grows. */
export class ByteWriter {
  #bytes = Buffer.alloc(1 << 16)
  #length = 0

  #room(bytes: number): number {
    const at = this.#length
    this.#length += bytes
    if (this.#length > this.#bytes.length) {
      const larger = Buffer.alloc(Math.max(2 * this.#bytes.length, this.#length))
      this.#bytes.copy(larger)
      this.#bytes = larger
    }
    return at
  }

  get length(): number {
    return this.#length
  }

  u32(value: number): void {
    const at = this.#room(4)
    this.#bytes.writeUInt32LE(value, at)
  }

  u64(value: number): void {
    const at = this.#room(8)
    this.#bytes.writeBigUInt64LE(BigInt(value), at)
  }

  string(value: string): void {
    const length = Buffer.byteLength(value)
    this.u64(length)
    const at = this.#room(length)
    this.#bytes.write(value, at)
  }

  value(value: GgufValue): void {
    this.u32(TYPES[value.type])
    if (value.type !== 'array') {
      this.#scalar(value.type, value.value)
      return
    }
    this.u32(TYPES[value.of])
    this.u64(value.value.length)
    for (const element of value.value) this.#scalar(value.of, element)
  }

  #scalar(type: Scalar, value: number | boolean | string): void {
    if (type === 'string') {
      this.string(value as string)
      return
    }
    const at = this.#room(type === 'bool' ? 1 : 4)
    if (type === 'bool') this.#bytes.writeUInt8(value ? 1 : 0, at)
    else if (type === 'f32') this.#bytes.writeFloatLE(value as number, at)
    else if (type === 'i32') this.#bytes.writeInt32LE(value as number, at)
    else this.#bytes.writeUInt32LE(value as number, at)
  }

  /** Zeros up to a multiple of `alignment`. */
  pad(alignment: number): void {
    const rest = this.#length % alignment
    if (rest > 0) this.#room(alignment - rest)
  }

  bytes(): Uint8Array {
    return this.#bytes.subarray(0, this.#length)
  }
}
