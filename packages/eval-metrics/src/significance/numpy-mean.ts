/** The sum of `values[from..to)` as NumPy's pairwise summation forms it, every step rounded by `round`. */
function pairwiseSum(values: Float64Array, from: number, to: number, round: (x: number) => number): number {
  const n = to - from
  if (n < 8) {
    let sum = 0
    for (let i = from; i < to; i++) sum = round(sum + values[i])
    return sum
  }
  if (n <= 128) {
    const r = Array.from(values.subarray(from, from + 8))
    let i = 8
    for (; i + 8 <= n; i += 8) for (let k = 0; k < 8; k++) r[k] = round(r[k] + values[from + i + k])
    const left = round(round(r[0] + r[1]) + round(r[2] + r[3]))
    const right = round(round(r[4] + r[5]) + round(r[6] + r[7]))
    let sum = round(left + right)
    for (; i < n; i++) sum = round(sum + values[from + i])
    return sum
  }
  const half = from + (n >>> 1) - ((n >>> 1) % 8)
  return round(pairwiseSum(values, from, half, round) + pairwiseSum(values, half, to, round))
}

/** `numpy.mean` of float64 values, or of float32 values kept in a Float64Array. */
export function numpyMean(values: Float64Array, single: boolean): number {
  const round = single ? Math.fround : (x: number) => x
  return round(pairwiseSum(values, 0, values.length, round) / values.length)
}
