/**
 * The counter-based dropout mask: whether element `i` is kept depends only on `i` and `seed`, so that recomputation,
 * gradients and every backend see the same mask without storing it.
 *
 * The hash is the 32-bit finaliser "lowbias32" (Wellons, hash-prospector) of `i + seed * 0x9E3779B9`.
 *
 * @param size number of elements, of the flattened row-major tensor.
 * @param rate probability of dropping, in [0, 1).
 * @returns float32 `[size]`: 0 where dropped, `1 / (1 - rate)` where kept.
 */
export function dropoutMask(size: number, rate: number, seed: number): Float32Array {
  const mask = new Float32Array(size)
  const threshold = Math.floor(rate * 4294967296)
  const scale = 1 / (1 - rate)
  const offset = Math.imul(seed, 0x9e3779b9)
  for (let i = 0; i < size; i++) {
    let h = (i + offset) | 0
    h = Math.imul(h ^ (h >>> 16), 0x7feb352d)
    h = Math.imul(h ^ (h >>> 15), 0x846ca68b)
    if ((h ^ (h >>> 16)) >>> 0 >= threshold) mask[i] = scale
  }
  return mask
}
