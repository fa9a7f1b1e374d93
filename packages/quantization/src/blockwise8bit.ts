import { codeSearchOf, parseOptions, quantizeBlock8bit } from '@tunesmith/core'
import { z } from 'zod'
import { DYNAMIC_MAP_SIGNED } from './codebooks'
import { float32Array, uint8Array } from './floats'

const map = z.custom<Float32Array>(
  (m) => m instanceof Float32Array && m.length === 256,
  'must be a Float32Array of 256 values',
)
const blocksize = z.int().positive().default(256)
const quantizeOptions = z.strictObject({
  /** The values, flattened; blocks run over the flat array. */
  values: float32Array,
  /** The 256 values, ascending. Default: the signed dynamic map. */
  map: map.default(DYNAMIC_MAP_SIGNED),
  /** Elements per block. Default 256. */
  blocksize,
})

/** Codes `[n]` and one scale per block. */
export interface Blockwise8bit {
  codes: Uint8Array
  absmax: Float32Array
}

/**
 * Blockwise 8-bit quantization (`bitsandbytes.functional.quantize_blockwise`): each block is divided by its largest
 * magnitude and every value becomes the code of the nearest map entry; ties go to the lower entry.
 *
 * A NaN makes its whole block NaN; a block with an infinity dequantizes to NaN where the code is zero and to infinities
 * elsewhere. An all-zero full block has absmax 0, a shorter last one 1e-38, as in bitsandbytes.
 *
 * @see Dettmers et al., "8-bit Optimizers via Block-wise Quantization", 2021
 * @throws {TunesmithError} `invalid_options`
 */
export function quantizeBlockwise(options: z.input<typeof quantizeOptions>): Blockwise8bit {
  const { values, map, blocksize } = parseOptions(quantizeOptions, options, 'quantizeBlockwise')
  const search = codeSearchOf(map)
  const codes = new Uint8Array(values.length)
  const absmax = new Float32Array(Math.ceil(values.length / blocksize))
  for (let block = 0; block < absmax.length; block++) {
    const begin = block * blocksize
    const full = begin + blocksize <= values.length
    absmax[block] = quantizeBlock8bit(values, begin, full ? begin + blocksize : values.length, full, search, codes)
  }
  return { codes, absmax }
}

const dequantizeOptions = z.strictObject({
  codes: uint8Array,
  absmax: float32Array,
  map: map.default(DYNAMIC_MAP_SIGNED),
  blocksize,
})

/** The inverse: `map[code] * absmax[block]` in float32. */
export function dequantizeBlockwise(options: z.input<typeof dequantizeOptions>): Float32Array {
  const { codes, absmax, map, blocksize } = parseOptions(dequantizeOptions, options, 'dequantizeBlockwise')
  const out = new Float32Array(codes.length)
  for (let i = 0, block = 0; i < codes.length; block++) {
    const scale = absmax[block]!
    for (const end = Math.min(i + blocksize, codes.length); i < end; i++) out[i] = map[codes[i]!]! * scale
  }
  return out
}
