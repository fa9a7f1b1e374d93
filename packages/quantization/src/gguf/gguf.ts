import { invalidOptions, parseOptions } from '@tunesmith/core'
import { z } from 'zod'
import { checkFloatTensor, floatTensorFields, toFloat32, uint8Array } from '../floats'
import { ownMemory, type SharedMemory, toShared, unshared } from '../four-bit/shared'
import { runHere, type Task } from '../task'
import { ggufRange } from './kernels'
import { GGUF_BLOCKS, GGUF_TYPES } from './types'

const ggufType = z.enum(GGUF_TYPES)
const quantizeOptions = z.strictObject({ ...floatTensorFields, type: ggufType })
export type QuantizeGgufOptions = z.input<typeof quantizeOptions>

/** The values in float32, checked: rows are whole blocks. */
function ggufValues(options: QuantizeGgufOptions): Float32Array {
  const where = 'quantizeGguf'
  const parsed = parseOptions(quantizeOptions, options, where)
  const columns = checkFloatTensor(parsed, where).at(-1)!
  const { size } = GGUF_BLOCKS[parsed.type]
  if (columns % size)
    throw invalidOptions(`rows of ${columns} elements are not whole blocks of ${size}`, {
      where,
      remedy: size === 256 ? 'Use a type with blocks of 32, or f16 or f32' : 'Export this tensor as f16 or f32',
    })
  return toFloat32(parsed.data, parsed.dtype)
}

/**
 * Quantizes to GGUF blocks, bit for bit as ggml does on x86 without an importance matrix.
 *
 * @returns the blocks of all rows; rows must be whole blocks of {@link GGUF_BLOCKS}.
 * @throws {TunesmithError} `invalid_options` when the last dimension is no multiple of the block.
 */
export function quantizeGguf(options: QuantizeGgufOptions): Uint8Array {
  return runHere(prepareQuantizeGguf(options))
}

/** Checks the options and gets memory for the blocks; for threads, shared memory. */
export function prepareQuantizeGguf(options: QuantizeGgufOptions, memory: SharedMemory = ownMemory): Task<Uint8Array> {
  const values = toShared(ggufValues(options), memory, 'data')
  const { size, bytes } = GGUF_BLOCKS[options.type]
  const length = (values.length / size) * bytes
  const blocks = new Uint8Array(memory.take('packed', length), 0, length)
  return {
    method: 'encodeGguf',
    range: ggufRange(options.type, values, blocks),
    unit: 1,
    finish: () => unshared(blocks),
  }
}

const dequantizeOptions = z.strictObject({ blocks: uint8Array, type: ggufType })

/** The values of GGUF blocks in float32, as ggml computes them. */
export function dequantizeGguf(options: z.input<typeof dequantizeOptions>): Float32Array {
  const { blocks, type } = parseOptions(dequantizeOptions, options, 'dequantizeGguf')
  const { size, bytes } = GGUF_BLOCKS[type]
  if (blocks.length % bytes)
    throw invalidOptions(`${blocks.length} bytes are not whole ${type} blocks of ${bytes}`, {
      where: 'dequantizeGguf',
      remedy: 'Pass whole blocks',
    })
  const values = new Float32Array((blocks.length / bytes) * size)
  return runHere({ method: 'decodeGguf', range: ggufRange(type, values, blocks), unit: 1, finish: () => values })
}
