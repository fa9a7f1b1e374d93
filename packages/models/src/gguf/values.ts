/** Values of a GGUF file's metadata and their bytes (ggml's docs/gguf.md): little-endian, strings with their length before them. */

const TYPES = { u32: 4, i32: 5, f32: 6, bool: 7, string: 8, array: 9 } as const
type Scalar = 'u32' | 'i32' | 'f32' | 'bool' | 'string'

export type GgufValue =
  | { type: 'u32' | 'i32' | 'f32'; value: number }
  | { type: 'bool'; value: boolean }
  | { type: 'string'; value: string }
  | { type: 'array'; of: Scalar; value: readonly (number | boolean | string)[] }

export const u32 = (value: number): GgufValue => ({ type: 'u32', value })
export const i32 = (value: number): GgufValue => ({ type: 'i32', value })
export const f32 = (value: number): GgufValue => ({ type: 'f32', value })
export const bool = (value: boolean): GgufValue => ({ type: 'bool', value })
export const string = (value: string): GgufValue => ({ type: 'string', value })
export const strings = (value: readonly string[]): GgufValue => ({ type: 'array', of: 'string', value })
export const floats = (value: readonly number[]): GgufValue => ({ type: 'array', of: 'f32', value })
export const integers = (value: readonly number[]): GgufValue => ({ type: 'array', of: 'i32', value })

const bytesOf = ({ buffer }: { buffer: ArrayBufferLike }) => new Uint8Array(buffer)

/** The bytes of a number, a switch or a text. */
export const encode = {
  u32: (value: number) => bytesOf(Uint32Array.of(value)),
  i32: (value: number) => bytesOf(Int32Array.of(value)),
  u64: (value: number) => bytesOf(BigUint64Array.of(BigInt(value))),
  f32: (value: number) => bytesOf(Float32Array.of(value)),
  bool: (value: boolean) => Uint8Array.of(Number(value)),
  string: (value: string): Uint8Array => {
    const text = Buffer.from(value)
    return Buffer.concat([encode.u64(text.length), text])
  },
}

/** The bytes of a value with its type before it. */
export function encodeValue({ type, value, ...array }: GgufValue): Uint8Array {
  const scalar = (type: Scalar, value: unknown) => encode[type](value as never)
  if (type !== 'array') return Buffer.concat([encode.u32(TYPES[type]), scalar(type, value)])
  const { of } = array as { of: Scalar }
  const elements = value.map((element) => scalar(of, element))
  return Buffer.concat([encode.u32(TYPES.array), encode.u32(TYPES[of]), encode.u64(value.length), ...elements])
}
