import { quantizeBlockwise } from '../blockwise8bit'
import { DYNAMIC_MAP_SIGNED } from '../codebooks'
import { torchMean } from '../torch-mean'

/** The second level of double quantization: `scale = map[code] * absmax[i / blocksize] + offset`, in float32. */
export interface NestedAbsmax {
  /** Float32 `[ceil(blocks / blocksize)]`. */
  absmax: Float32Array
  /** Float32 `[256]`. */
  map: Float32Array
  /** Scales per nested block; bitsandbytes uses 256. */
  blocksize: number
  /** The mean of the scales. */
  offset: number
}

/** Quantizes a weight's scales to 8 bits (QLoRA's double quantization): their mean is taken out, the rest is blockwise. */
export function compressAbsmax(absmax: Float32Array): { absmax: Uint8Array; nested: NestedAbsmax } {
  const offset = torchMean(absmax)
  const blocksize = 256
  const map = DYNAMIC_MAP_SIGNED
  const { codes, absmax: nested } = quantizeBlockwise({ values: absmax.map((x) => x - offset), map, blocksize })
  return { absmax: codes, nested: { absmax: nested, map, blocksize, offset } }
}
