/** The two 4-bit number formats. */
export type QuantType4bit = 'nf4' | 'fp4'

/**
 * NF4: sixteen quantiles of the standard normal distribution, scaled to [-1, 1], with an exact zero.
 *
 * Dettmers et al., "QLoRA", 2023, appendix E. These constants are the format's definition; `[code] -> value`.
 */
export const NF4_MAP = new Float32Array([
  -1, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635, -0.18477343022823334,
  -0.09105003625154495, 0, 0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224,
  0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1,
])

/**
 * FP4 (one sign, two exponent and one mantissa bit), divided by its largest value 12; `[code] -> value`.
 *
 * Code 8 is a second zero; the smallest magnitude is 0.0625.
 */
export const FP4_MAP = new Float32Array(
  [0, 0.0625, 8, 12, 4, 6, 2, 3, -0, -0.0625, -8, -12, -4, -6, -2, -3].map((value) => value / 12 + 0),
)

export const quantMap4bit = (quantType: QuantType4bit): Float32Array => (quantType === 'nf4' ? NF4_MAP : FP4_MAP)

/**
 * The codes in ascending order of their values and the fifteen midpoints between neighbours, in float32.
 *
 * A value belongs to bucket k when it is above exactly k midpoints, so a tie goes to the smaller value. The order is
 * stable: of the two FP4 zeros, code 0 comes first.
 */
export function bucketsOf(map: Float32Array): { thresholds: Float32Array; order: Uint8Array } {
  const order = Uint8Array.from([...map.keys()].sort((a, b) => map[a]! - map[b]! || a - b))
  const thresholds = new Float32Array(map.length - 1)
  for (let i = 0; i < thresholds.length; i++) thresholds[i] = Math.fround(map[order[i]!]! + map[order[i + 1]!]!) / 2
  return { thresholds, order }
}

/** torch.linspace in float32: from both ends towards the middle, each value one fused multiply-add. */
function linspace(start: number, end: number, steps: number): Float32Array {
  const [a, b] = [Math.fround(start), Math.fround(end)]
  const step = Math.fround(Math.fround(b - a) / (steps - 1))
  return Float32Array.from({ length: steps }, (_, i) => (i < steps >> 1 ? a + step * i : b - step * (steps - 1 - i)))
}

/**
 * The 256 values of the dynamic 8-bit format, ascending: seven decades below 1, each twice as fine as the one below.
 *
 * Dettmers, "8-bit Approximations for Parallelism in Deep Learning", 2016; as `bitsandbytes.functional.create_dynamic_map`.
 * @param signed true for values in [-1, 1] (first moments), false for [0, 1] (second moments).
 */
export function createDynamicMap(signed: boolean): Float32Array {
  const values = [0, 1]
  for (let decade = 0; decade < 7; decade++) {
    const boundaries = linspace(0.1, 1, 2 ** (signed ? decade : decade + 1) + 1)
    const scale = Math.fround(10 ** (decade - 6))
    for (let i = 0; i + 1 < boundaries.length; i++) {
      const mean = Math.fround(Math.fround(boundaries[i]! + boundaries[i + 1]!) / 2)
      values.push(Math.fround(scale * mean))
      if (signed) values.push(-Math.fround(scale * mean))
    }
  }
  return Float32Array.from(values).sort()
}

/** The signed dynamic map, shared; do not write to it. */
export const DYNAMIC_MAP_SIGNED = createDynamicMap(true)
/** The unsigned dynamic map, shared; do not write to it. */
export const DYNAMIC_MAP_UNSIGNED = createDynamicMap(false)
