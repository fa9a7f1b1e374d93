/** The smallest scale a block is divided by (bitsandbytes' value), so that a block of zeros stays zero. */
const SMALLEST_ABSMAX = Math.fround(1e-38)

/**
 * Finds the code of a float32 in an ascending 256-value map, without branches that depend on the value: the upper 16 bits
 * of the float give a first code, and at most a step or two lead to the right one.
 */
export interface CodeSearch {
  /** Halfway between neighbours, in float32: a value above exactly k of them has code k, so that a tie goes down. */
  midpoints: Float32Array
  first: Uint8Array
}

/** How many of the ascending `midpoints` are below `x`. */
function countBelow(midpoints: Float32Array, x: number): number {
  let low = 0
  for (let high = midpoints.length; low < high; ) {
    const middle = (low + high) >> 1
    if (x > midpoints[middle]!) low = middle + 1
    else high = middle
  }
  return low
}

const searches = new WeakMap<object, CodeSearch>()

/**
 * The search of a map, made once.
 *
 * @param owner what it is kept for, when the array is another one each time.
 */
export function codeSearchOf(map: Float32Array, owner: object = map): CodeSearch {
  const known = searches.get(owner)
  if (known) return known
  // The last is never passed.
  const midpoints = map.map((value, i) => (i < 255 ? Math.fround(value + map[i + 1]!) / 2 : Number.POSITIVE_INFINITY))
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
  const search = { midpoints, first }
  searches.set(owner, search)
  return search
}

const scaled = new Float32Array(1)
const scaledBits = new Uint32Array(scaled.buffer)

/**
 * Quantizes `values[begin, end)`, one block, to the nearest codes as bitsandbytes does, and returns its scale, the largest
 * magnitude. A full block is multiplied by the inverse of it, a shorter last one divided by it.
 */
export function quantizeBlock8bit(
  values: Float32Array,
  begin: number,
  end: number,
  full: boolean,
  { midpoints, first }: CodeSearch,
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
    while (s > midpoints[code]!) code++
    codes[i] = code
  }
  return full ? largest : clamped
}
