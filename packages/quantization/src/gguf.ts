import { invalidOptions, parseOptions } from '@tunesmith/core'
import { z } from 'zod'
import { checkFloatTensor, floatTensorFields, fromFloat32, toFloat32, uint8Array } from './floats'

/** GGUF block formats: 32 elements and one float16 scale each. */
export type GgufType = 'q8_0' | 'q4_0'

/** Elements per block. */
export const GGUF_BLOCKSIZE = 32
/** Bytes per block: the scale, then 32 signed bytes or 32 nibbles. */
export const GGUF_BLOCK_BYTES: Record<GgufType, number> = { q8_0: 34, q4_0: 18 }

const ggufType = z.enum(['q8_0', 'q4_0'])
const quantizeOptions = z.strictObject({ ...floatTensorFields, type: ggufType })

/**
 * Quantizes to GGUF blocks, as llama.cpp's reference and gguf-py do.
 *
 * `q8_0`: scale = largest magnitude / 127, elements rounded half away from zero. `q4_0`: scale = (the element of largest
 * magnitude, with its sign) / -8, elements are 0..15 with 8 for zero; the low nibbles hold the first 16.
 *
 * @returns `[n / 32 * bytes]`; rows must be whole blocks.
 * @throws {TunesmithError} `invalid_options` when the last dimension is no multiple of 32.
 */
export function quantizeGguf(options: z.input<typeof quantizeOptions>): Uint8Array {
  const where = 'quantizeGguf'
  const parsed = parseOptions(quantizeOptions, options, where)
  const shape = checkFloatTensor(parsed, where)
  const columns = shape.at(-1)!
  if (columns % GGUF_BLOCKSIZE)
    throw invalidOptions(`rows of ${columns} elements are not whole blocks of ${GGUF_BLOCKSIZE}`, {
      where,
      remedy: 'Export this tensor as f16 or f32',
    })
  const values = toFloat32(parsed.data, parsed.dtype)
  const blocks = values.length / GGUF_BLOCKSIZE
  const bytes = GGUF_BLOCK_BYTES[parsed.type]
  const out = new Uint8Array(blocks * bytes)
  const scales = new Float32Array(blocks)
  const encode = parsed.type === 'q8_0' ? encodeQ8 : encodeQ4
  for (let block = 0; block < blocks; block++)
    scales[block] = encode(values, block * GGUF_BLOCKSIZE, out, block * bytes + 2)
  const halves = fromFloat32(scales, 'float16')
  for (let block = 0; block < blocks; block++) {
    out[block * bytes] = halves[block]! & 0xff
    out[block * bytes + 1] = halves[block]! >> 8
  }
  return out
}

function encodeQ8(values: Float32Array, at: number, out: Uint8Array, to: number): number {
  let largest = 0
  for (let i = 0; i < 32; i++) largest = Math.max(largest, Math.abs(values[at + i]!))
  const scale = Math.fround(largest / 127)
  const inverse = scale === 0 ? 0 : Math.fround(1 / scale)
  for (let i = 0; i < 32; i++) {
    const scaled = Math.fround(values[at + i]! * inverse)
    // Half away from zero; the byte takes the two's complement.
    const magnitude = Math.floor(Math.abs(scaled) + 0.5)
    out[to + i] = scaled < 0 ? -magnitude : magnitude
  }
  return scale
}

function encodeQ4(values: Float32Array, at: number, out: Uint8Array, to: number): number {
  let extreme = 0
  for (let i = 0; i < 32; i++) if (Math.abs(values[at + i]!) > Math.abs(extreme)) extreme = values[at + i]!
  const scale = Math.fround(extreme / -8)
  const inverse = scale === 0 ? 0 : Math.fround(1 / scale)
  // In double precision the product is exact, as the fused multiply-add of the reference has it.
  const code = (i: number) => Math.max(0, Math.min(15, Math.trunc(values[at + i]! * inverse + 8.5)))
  for (let i = 0; i < 16; i++) out[to + i] = code(i) | (code(i + 16) << 4)
  return scale
}

const dequantizeOptions = z.strictObject({ blocks: uint8Array, type: ggufType })

/** The values of GGUF blocks in float32: `scale * code`, for q4_0 `scale * (code - 8)`. */
export function dequantizeGguf(options: z.input<typeof dequantizeOptions>): Float32Array {
  const { blocks, type } = parseOptions(dequantizeOptions, options, 'dequantizeGguf')
  const bytes = GGUF_BLOCK_BYTES[type]
  if (blocks.length % bytes)
    throw invalidOptions(`${blocks.length} bytes are not whole ${type} blocks of ${bytes}`, {
      where: 'dequantizeGguf',
      remedy: 'Pass whole blocks',
    })
  const count = blocks.length / bytes
  const halves = new Uint16Array(count)
  for (let block = 0; block < count; block++) halves[block] = blocks[block * bytes]! | (blocks[block * bytes + 1]! << 8)
  const scales = toFloat32(halves, 'float16')
  const out = new Float32Array(count * GGUF_BLOCKSIZE)
  for (let block = 0; block < count; block++) {
    const scale = scales[block]!
    const from = block * bytes + 2
    const to = block * GGUF_BLOCKSIZE
    for (let i = 0; i < 32; i++) {
      const byte = blocks[from + (type === 'q8_0' ? i : i & 15)]!
      out[to + i] = scale * (type === 'q8_0' ? (byte << 24) >> 24 : ((i < 16 ? byte : byte >> 4) & 15) - 8)
    }
  }
  return out
}
