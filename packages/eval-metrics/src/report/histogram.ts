import { barChart } from '@tunesmith/core'

interface HistogramOptions {
  /** One list of finite values per system. */
  series: { name: string; values: readonly number[] }[]
  title: string
  xLabel: string
  /** Default 20. */
  bins?: number
}

/** Rows per bin, systems side by side, as one SVG element. */
export function histogram({ series, title, xLabel, bins = 20 }: HistogramOptions): string {
  let low = Infinity
  let high = -Infinity
  for (const { values } of series)
    for (const value of values) {
      low = Math.min(low, value)
      high = Math.max(high, value)
    }
  if (low > high) [low, high] = [0, 1]
  if (low === high) [low, high] = [low - 0.5, high + 0.5]
  const width = (high - low) / bins
  const counts = series.map(({ name, values }) => {
    const count = new Array<number>(bins).fill(0)
    for (const value of values) count[Math.min(bins - 1, Math.floor((value - low) / width))]++
    return { name, counts: count }
  })
  return barChart({ title, xLabel, start: low, binWidth: width, series: counts })
}
