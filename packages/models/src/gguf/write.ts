import { writeFileAtomic } from '@tunesmith/core'
import { f32ToBf16, f32ToF16 } from '@tunesmith/hub'
import { GGUF_BLOCK_BYTES, GGUF_BLOCKSIZE, quantizeGguf } from '@tunesmith/quantization'
import { ByteWriter, type GgufValue } from './values'

/** How a tensor is stored: ggml's number of the type, and bytes per row of `columns`. */
export const GGUF_TENSOR_TYPES = ['f32', 'f16', 'bf16', 'q8_0', 'q4_0'] as const
export type GgufTensorType = (typeof GGUF_TENSOR_TYPES)[number]

const NUMBERS: Record<GgufTensorType, number> = { f32: 0, f16: 1, q4_0: 2, q8_0: 8, bf16: 30 }
const ALIGNMENT = 32

export interface GgufTensor {
  name: string
  type: GgufTensorType
  /** `[rows, columns]` or `[size]`, row-major; the file has them the other way round. */
  shape: readonly number[]
  /** The float32 values, in pieces of whole rows. */
  values(): Iterable<Float32Array>
}

const sizeOf = (shape: readonly number[]) => shape.reduce((product, n) => product * n, 1)

function byteLength(type: GgufTensorType, shape: readonly number[]): number {
  const size = sizeOf(shape)
  if (type === 'f32') return size * 4
  if (type === 'f16' || type === 'bf16') return size * 2
  return (size / GGUF_BLOCKSIZE) * GGUF_BLOCK_BYTES[type]
}

function encode(values: Float32Array, type: GgufTensorType, columns: number): Uint8Array {
  if (type === 'q8_0' || type === 'q4_0')
    return quantizeGguf({ data: values, dtype: 'float32', shape: [values.length / columns, columns], type })
  const typed = type === 'bf16' ? f32ToBf16(values) : type === 'f16' ? f32ToF16(values) : values
  return new Uint8Array(typed.buffer, typed.byteOffset, typed.byteLength)
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
  const head = new ByteWriter()
  head.u32(0x46554747) // "GGUF"
  head.u32(3)
  head.u64(tensors.length)
  head.u64(metadata.size)
  for (const [key, value] of metadata) {
    head.string(key)
    head.value(value)
  }
  let offset = 0
  for (const { name, type, shape } of tensors) {
    head.string(name)
    head.u32(shape.length)
    for (const size of [...shape].reverse()) head.u64(size)
    head.u32(NUMBERS[type])
    head.u64(offset)
    offset += Math.ceil(byteLength(type, shape) / ALIGNMENT) * ALIGNMENT
  }
  head.pad(ALIGNMENT)
  await writeFileAtomic(path, async (file) => {
    await file.writeFile(head.bytes())
    for (const { type, shape, values } of tensors) {
      let written = 0
      for (const piece of values()) {
        const bytes = encode(piece, type, shape.at(-1)!)
        await file.writeFile(bytes)
        written += bytes.byteLength
      }
      const rest = written % ALIGNMENT
      if (rest > 0) await file.writeFile(new Uint8Array(ALIGNMENT - rest))
    }
  })
}
