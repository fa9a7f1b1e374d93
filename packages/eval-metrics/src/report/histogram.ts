import { COLOURS, chartFrame, place, xScale, yScale } from './chart-frame'

export interface HistogramOptions {
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
  const counts = series.map(({ values }) => {
    const count = new Array<number>(bins).fill(0)
    for (const value of values) count[Math.min(bins - 1, Math.floor((value - low) / width))]++
    return count
  })
  const x = xScale(low, high)
  const y = yScale(0, Math.max(1, ...counts.flat()))
  const content = counts
    .flatMap((count, s) =>
      count.map((rows, bin) => {
        const left = x.at(low + bin * width) + 0.5
        const bar = (x.at(low + (bin + 1) * width) - left - 0.5) / series.length
        const top = y.at(rows)
        return rows === 0
          ? ''
          : `<rect x="${place(left + s * bar)}" y="${place(top)}" width="${place(bar)}" height="${place(y.at(0) - top)}" fill="var(--ts-c${s % COLOURS})"/>`
      }),
    )
    .join('')
  return chartFrame({ title, xLabel, yLabel: 'rows', x, y, names: series.map(({ name }) => name), content })
}
