import { writeFileAtomic } from '@tunesmith/core'
import { tensorBytes } from '@tunesmith/hub'
import { createQuantizationPool, GGUF_BLOCKS, type QuantizationPool } from '@tunesmith/quantization'
import { type GgufTensorType, isQuantized } from './mix'
import { encode, encodeValue, type GgufValue } from './values'

/** Of each type: ggml's number. */
const NUMBERS: Record<GgufTensorType, number> = {
  ...{ f32: 0, f16: 1, bf16: 30, q8_0: 8, q5_1: 7, q5_0: 6, q4_1: 3, q4_0: 2 },
  ...{ iq4_nl: 20, iq4_xs: 23, q6_k: 14, q5_k: 13, q4_k: 12, q3_k: 11, q2_k: 10 },
}
/** Bytes of a number of elements, whole blocks. */
const bytesOf = (type: GgufTensorType, count: number): number => {
  if (!isQuantized(type)) return count * (type === 'f32' ? 4 : 2)
  const { size, bytes } = GGUF_BLOCKS[type]
  return (count / size) * bytes
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

async function encodeTensor(
  values: Float32Array,
  type: GgufTensorType,
  columns: number,
  pool: QuantizationPool,
): Promise<Uint8Array> {
  if (isQuantized(type))
    return pool.quantizeGguf({ data: values, dtype: 'float32', shape: [values.length / columns, columns], type })
  return tensorBytes(values, ({ f32: 'F32', f16: 'F16', bf16: 'BF16' } as const)[type])
}

/**
 * Writes a GGUF file (version 3), tensors one piece at a time, each quantized by all cores; a crash leaves the old file or the new.
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
    const sizes = [...shape].reverse().map(encode.u64)
    head.push(encode.string(name), encode.u32(shape.length), ...sizes, encode.u32(NUMBERS[type]), encode.u64(offset))
    const count = shape.reduce((product, n) => product * n, 1)
    offset += Math.ceil(bytesOf(type, count) / ALIGNMENT) * ALIGNMENT
  }
  const start = Buffer.concat(head)
  const pool = createQuantizationPool()
  try {
    await writeFileAtomic(path, async (file) => {
      await file.writeFile(start)
      await file.writeFile(padding(start.length))
      // A piece is written while the next one is quantized.
      let writing = Promise.resolve()
      const write = async (bytes: Uint8Array) => {
        await writing
        writing = file.writeFile(bytes)
        writing.catch(() => undefined) // it is awaited in its turn
      }
      for (const { type, shape, values } of tensors) {
        let written = 0
        for (const piece of values()) {
          const bytes = await encodeTensor(piece, type, shape.at(-1)!, pool)
          await write(bytes)
          written += bytes.byteLength
        }
        await write(padding(written))
      }
      await writing
    })
  } finally {
    await pool.close()
  }
}
