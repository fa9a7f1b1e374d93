import { parseOptions } from '@tunesmith/core'
import { z } from 'zod'
import { bucketsOf, DYNAMIC_MAP_SIGNED } from './codebooks'
import { float32Array, uint8Array } from './floats'

/** The smallest scale a block is divided by (bitsandbytes' value), so that a block of zeros stays zero. */
export const SMALLEST_ABSMAX = Math.fround(1e-38)

/**
 * Finds the bucket of a float32 in an ascending 256-value map, without branches that depend on the value:
 * the upper 16 bits of the float give a first bucket, and at most a step or two lead to the right one.
 */
export interface MapSearch {
  thresholds: Float32Array
  first: Uint8Array
}

/** How many of the ascending `thresholds` are below `x`. */
function countBelow(thresholds: Float32Array, x: number): number {
  let low = 0
  for (let high = thresholds.length; low < high; ) {
    const middle = (low + high) >> 1
    if (x > thresholds[middle]!) low = middle + 1
    else high = middle
  }
  return low
}

const searches = new WeakMap<Float32Array, MapSearch>()

function searchOf(map: Float32Array): MapSearch {
  const known = searches.get(map)
  if (known) return known
  const midpoints = bucketsOf(map).thresholds
  const thresholds = new Float32Array(256).fill(Number.POSITIVE_INFINITY)
  thresholds.set(midpoints)
  const first = new Uint8Array(65536)
  const value = new Float32Array(1)
  const bits = new Uint32Array(value.buffer)
  for (let bin = 0; bin < 65536; bin++) {
    // The least float of the bin: of a negative bin, the one with the largest magnitude.
    bits[0] = (bin << 16) | (bin & 0x8000 ? 0xffff : 0)
    const least = value[0]!
    if (Number.isNaN(least) && (bin & 0x7fff) > 0x7f80) first[bin] = 255
    else first[bin] = countBelow(midpoints, least)
  }
  const search = { thresholds, first }
  searches.set(map, search)
  return search
}

/** Quantizes `values[begin, end)`, one block, into `codes`; returns the block's absmax. */
function quantizeBlock8bit(
  values: Float32Array,
  begin: number,
  end: number,
  full: boolean,
  { thresholds, first }: MapSearch,
  codes: Uint8Array,
): number {
  let largest = 0
  for (let i = begin; i < end; i++) {
    const magnitude = Math.abs(values[i]!)
    if (!(magnitude <= largest)) largest = magnitude
    if (Number.isNaN(largest)) break
  }
  const clamped = Math.max(largest, SMALLEST_ABSMAX)
  const inverse = Math.fround(1 / clamped)
  for (let i = begin; i < end; i++) {
    scaled[0] = full ? values[i]! * inverse : values[i]! / clamped
    const s = scaled[0]!
    let code = first[scaledBits[0]! >>> 16]!
    while (s > thresholds[code]!) code++
    codes[i] = code
  }
  return full ? largest : clamped
}

const scaled = new Float32Array(1)
const scaledBits = new Uint32Array(scaled.buffer)

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
  const search = searchOf(map)
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
