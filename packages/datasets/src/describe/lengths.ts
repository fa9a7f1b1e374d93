import { barChart, parseOptions } from '@tunesmith/core'
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
  const { start, width: step, counts } = histogram
  const range = (from: number) => (step === 1 ? `${from}` : `${from} to ${from + step - 1}`)
  return barChart({
    title: title || `Distribution of ${unit}`,
    xLabel: unit,
    size: { width, height },
    start,
    binWidth: step,
    series: [{ name: unit, counts }],
    tooltip: (bin, rows) => `${range(start + bin * step)} ${unit}: ${rows} rows`,
    marks: [
      { at: mean, label: `mean ${Math.round(mean * 10) / 10}` },
      ...(maxLength === undefined ? [] : [{ at: maxLength, label: `max ${maxLength}` }]),
    ],
  })
}
