/** The middle `confidence` of resampled values: the ends of a percentile interval. */
export function interval(values: Float64Array, confidence: number): { low: number; high: number } {
  const sorted = values.slice().sort()
  return { low: percentile(sorted, (1 - confidence) / 2), high: percentile(sorted, (1 + confidence) / 2) }
}

/** `numpy.percentile(values, 100 * q)` with its default linear interpolation. @param sorted ascending, not empty. */
export function percentile(sorted: ArrayLike<number>, q: number): number {
  const position = q * (sorted.length - 1)
  const below = Math.floor(position)
  const weight = position - below
  const low = sorted[below]
  const high = sorted[Math.min(below + 1, sorted.length - 1)]
  return weight < 0.5 ? low + (high - low) * weight : high - (high - low) * (1 - weight)
}
