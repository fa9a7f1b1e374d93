import { writeFileAtomic } from '@tunesmith/core'
import { tensorBytes } from '@tunesmith/hub'
import { GGUF_BLOCK_BYTES, GGUF_BLOCKSIZE, quantizeGguf } from '@tunesmith/quantization'
import { encode, encodeValue, type GgufValue } from './values'

/** How a tensor is stored. */
export const GGUF_TENSOR_TYPES = ['f32', 'f16', 'bf16', 'q8_0', 'q4_0'] as const
export type GgufTensorType = (typeof GGUF_TENSOR_TYPES)[number]

/** Of each type: ggml's number, and bytes per element. */
const TYPES: Record<GgufTensorType, { number: number; bytes: number }> = {
  f32: { number: 0, bytes: 4 },
  f16: { number: 1, bytes: 2 },
  bf16: { number: 30, bytes: 2 },
  q8_0: { number: 8, bytes: GGUF_BLOCK_BYTES.q8_0 / GGUF_BLOCKSIZE },
  q4_0: { number: 2, bytes: GGUF_BLOCK_BYTES.q4_0 / GGUF_BLOCKSIZE },
}
const ALIGNMENT = 32
const padding = (length: number) => new Uint8Array((ALIGNMENT - (length % ALIGNMENT)) % ALIGNMENT)

export interface GgufTensor {
  name: string
  type: GgufTensorType
  /** `[rows, columns]` or `[size]`, row-major; the file has them the other way round. */
  shape: readonly number[]
  /** The float32 values, in pieces of whole rows. */
  values(): Iterable<Float32Array>
}

function encodeTensor(values: Float32Array, type: GgufTensorType, columns: number): Uint8Array {
  if (type === 'q8_0' || type === 'q4_0')
    return quantizeGguf({ data: values, dtype: 'float32', shape: [values.length / columns, columns], type })
  return tensorBytes(values, ({ f32: 'F32', f16: 'F16', bf16: 'BF16' } as const)[type])
}

/**
 * Writes a GGUF file (version 3), tensors one piece at a time; a crash leaves the old file or the new.
 *
 * @throws {TunesmithError} `io`.
 */
export async function writeGguf(
  path: string,
  metadata: ReadonlyMap<string, GgufValue>,
  tensors: readonly GgufTensor[],
): Promise<void> {
  // "GGUF", and the version.
  const head = [encode.u32(0x46554747), encode.u32(3), encode.u64(tensors.length), encode.u64(metadata.size)]
  for (const [key, value] of metadata) head.push(encode.string(key), encodeValue(value))
  let offset = 0
  for (const { name, type, shape } of tensors) {
    const { number, bytes } = TYPES[type]
    const sizes = [...shape].reverse().map(encode.u64)
    head.push(encode.string(name), encode.u32(shape.length), ...sizes, encode.u32(number), encode.u64(offset))
    offset += Math.ceil((shape.reduce((product, n) => product * n, 1) * bytes) / ALIGNMENT) * ALIGNMENT
  }
  const start = Buffer.concat(head)
  await writeFileAtomic(path, async (file) => {
    await file.writeFile(start)
    await file.writeFile(padding(start.length))
    for (const { type, shape, values } of tensors) {
      let written = 0
      for (const piece of values()) {
        const bytes = encodeTensor(piece, type, shape.at(-1)!)
        await file.writeFile(bytes)
        written += bytes.byteLength
      }
      await file.writeFile(padding(written))
    }
  })
}
