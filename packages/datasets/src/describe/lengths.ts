import { escapeHtml, parseOptions } from '@tunesmith/core'
import { z } from 'zod'

const PERCENTILES = [1, 5, 25, 50, 75, 90, 95, 99] as const

/** How long something is over all rows. */
export interface LengthSummary {
  /** Values that were counted: rows that have the part. */
  count: number
  total: number
  mean: number
  min: number
  max: number
  /** By percent: `percentiles[95]` is the length that 95% of the rows do not exceed, interpolated as numpy does. */
  percentiles: Record<(typeof PERCENTILES)[number], number>
  histogram: Histogram
}

/** Counts over equally wide ranges: bar `i` counts lengths from `start + i * width` up to, not including, the next. */
export interface Histogram {
  start: number
  width: number
  counts: number[]
}

/** Linear interpolation between the two nearest ranks (numpy's default method). */
export function percentile(sorted: ArrayLike<number>, percent: number): number {
  if (sorted.length === 0) return 0
  const rank = ((sorted.length - 1) * percent) / 100
  const below = Math.floor(rank)
  const low = sorted[below]!
  return low + (sorted[Math.min(below + 1, sorted.length - 1)]! - low) * (rank - below)
}

const MOST_BARS = 30

/** A width of 1, 2 or 5 times a power of ten that needs no more than thirty bars. */
function histogramOf(sorted: ArrayLike<number>): Histogram {
  const min = sorted[0] ?? 0
  const max = sorted[sorted.length - 1] ?? 0
  let width = 1
  for (const step of steps()) {
    width = step
    if ((max - Math.floor(min / step) * step + 1) / step <= MOST_BARS) break
  }
  const start = Math.floor(min / width) * width
  const counts: number[] = new Array(Math.floor((max - start) / width) + 1).fill(0)
  for (let i = 0; i < sorted.length; i++) counts[Math.floor((sorted[i]! - start) / width)]!++
  return { start, width, counts }
}

function* steps(): Generator<number> {
  for (let power = 1; ; power *= 10) for (const step of [1, 2, 5]) yield step * power
}

export function summarizeLengths(lengths: ArrayLike<number>): LengthSummary {
  const sorted = Float64Array.from(lengths).sort()
  const total = sorted.reduce((sum, length) => sum + length, 0)
  return {
    count: sorted.length,
    total,
    mean: sorted.length === 0 ? 0 : total / sorted.length,
    min: sorted[0] ?? 0,
    max: sorted[sorted.length - 1] ?? 0,
    percentiles: Object.fromEntries(
      PERCENTILES.map((percent) => [percent, percentile(sorted, percent)]),
    ) as LengthSummary['percentiles'],
    histogram: histogramOf(sorted),
  }
}

const svgSchema = z.strictObject({
  title: z.string().default(''),
  /** What is counted along the bottom. Default tokens. */
  unit: z.string().default('tokens'),
  /** A line drawn at this length, such as the model's context. */
  maxLength: z.number().positive().optional(),
  /** In pixels. Default 640 by 280. */
  width: z.int().min(200).default(640),
  height: z.int().min(120).default(280),
})
export type HistogramSvgOptions = z.input<typeof svgSchema>

/** Draws a histogram as an SVG image of its own, readable on light and dark pages, with the numbers as tooltips. */
export function histogramSvg({ histogram, mean }: LengthSummary, options: HistogramSvgOptions = {}): string {
  const { title, unit, maxLength, width, height } = parseOptions(svgSchema, options, 'histogramSvg')
  const [left, right, top, bottom] = [48, 12, title ? 32 : 12, 36]
  const [plotWidth, plotHeight] = [width - left - right, height - top - bottom]
  const { start, width: step, counts } = histogram
  const bars = Math.max(1, counts.length)
  const most = Math.max(1, ...counts)
  const x = (value: number) => left + ((value - start) / (bars * step)) * plotWidth
  const y = (count: number) => top + plotHeight * (1 - count / most)
  const n = (value: number) => String(Math.round(value * 100) / 100)
  const parts = counts.map((count, i) => {
    const from = start + i * step
    const range = step === 1 ? `${from}` : `${from} to ${from + step - 1}`
    return (
      `<rect x="${n(x(from) + 0.5)}" y="${n(y(count))}" width="${n(plotWidth / bars - 1)}" height="${n(plotHeight * (count / most))}">` +
      `<title>${range} ${escapeHtml(unit)}: ${count} rows</title></rect>`
    )
  })
  const marks = [0, 0.25, 0.5, 0.75, 1].map((share) => {
    const value = start + share * bars * step
    return `<text x="${n(x(value))}" y="${height - bottom + 16}" text-anchor="middle">${n(Math.round(value))}</text>`
  })
  const line = (value: number, label: string, dash: string) =>
    value < start || value > start + bars * step
      ? ''
      : `<line x1="${n(x(value))}" x2="${n(x(value))}" y1="${top}" y2="${top + plotHeight}" stroke="#d9480f" stroke-dasharray="${dash}"/>` +
        `<text x="${n(x(value) + 4)}" y="${top + 11}" fill="#d9480f">${escapeHtml(label)}</text>`
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" font-family="system-ui, sans-serif" font-size="11" fill="#868e96">`,
    `<title>${escapeHtml(title || `Distribution of ${unit}`)}</title>`,
    title ? `<text x="${left}" y="18" font-size="13">${escapeHtml(title)}</text>` : '',
    `<g fill="#4c6ef5">${parts.join('')}</g>`,
    `<line x1="${left}" x2="${width - right}" y1="${top + plotHeight}" y2="${top + plotHeight}" stroke="#868e96"/>`,
    marks.join(''),
    `<text x="${left + plotWidth / 2}" y="${height - 6}" text-anchor="middle">${escapeHtml(unit)}</text>`,
    `<text x="${left - 6}" y="${top + 8}" text-anchor="end">${most}</text>`,
    `<text x="${left - 6}" y="${top + plotHeight}" text-anchor="end">0</text>`,
    line(mean, `mean ${n(Math.round(mean * 10) / 10)}`, '2 3'),
    maxLength === undefined ? '' : line(maxLength, `max ${maxLength}`, '6 3'),
    '</svg>',
  ]
    .filter((part) => part !== '')
    .join('\n')
}
