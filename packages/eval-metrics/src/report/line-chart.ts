import { CHART_SIZE, chartColour, chartFrame, chartPlace, parseOptions, xScale, yScale } from '@tunesmith/core'
import { z } from 'zod'

type Point = readonly [x: number, y: number]

const schema = z.strictObject({
  /** Points as `[x, y]`, in the order to connect them; a point that is not finite leaves a gap. */
  series: z.array(z.strictObject({ name: z.string(), points: z.array(z.custom<Point>(Array.isArray)).readonly() })),
  title: z.string().default(''),
  xLabel: z.string().default(''),
  yLabel: z.string().default(''),
})
export type LineChartOptions = z.input<typeof schema>

/** More points than pixels: keeps the lowest and highest of every bucket, so that no spike is lost. */
function thin(points: readonly Point[]): readonly Point[] {
  if (points.length <= 4 * CHART_SIZE.width) return points
  const kept: Point[] = []
  const size = Math.ceil(points.length / CHART_SIZE.width)
  for (let start = 0; start < points.length; start += size) {
    const bucket = points.slice(start, start + size)
    let low = 0
    let high = 0
    bucket.forEach(([, y], i) => {
      if (y < bucket[low][1]) low = i
      if (y > bucket[high][1]) high = i
    })
    kept.push(bucket[Math.min(low, high)])
    if (low !== high) kept.push(bucket[Math.max(low, high)])
  }
  return kept
}

const finite = ([x, y]: Point) => Number.isFinite(x) && Number.isFinite(y)

/** Unbroken runs of finite points. */
function runs(points: readonly Point[]): Point[][] {
  const found: Point[][] = [[]]
  for (const point of points) {
    if (finite(point)) found[found.length - 1].push(point)
    else found.push([])
  }
  return found.filter((run) => run.length > 0)
}

/**
 * A line chart as one SVG element: no script, no outside file, readable on light and dark backgrounds.
 *
 * @returns an `<svg>` string to place into a page, or to save with the extension `.svg`.
 */
export function lineChart(options: LineChartOptions): string {
  const { series, title, xLabel, yLabel } = parseOptions(schema, options, 'lineChart')
  const lines = series.map(({ points }) => runs(points).map(thin))
  let [left, right, low, high] = [Infinity, -Infinity, Infinity, -Infinity]
  for (const [x, y] of lines.flat(2)) {
    left = Math.min(left, x)
    right = Math.max(right, x)
    low = Math.min(low, y)
    high = Math.max(high, y)
  }
  if (left > right) [left, right, low, high] = [0, 1, 0, 1]
  const x = xScale(left, right)
  const y = yScale(low, high)
  const content = lines
    .map((line, i) => {
      const colour = chartColour(i)
      return line
        .map((run) => {
          const spots = run.map((point) => `${chartPlace(x.at(point[0]))},${chartPlace(y.at(point[1]))}`)
          if (spots.length > 1)
            return `<polyline fill="none" stroke="${colour}" stroke-width="1.6" points="${spots.join(' ')}"/>`
          const [cx, cy] = spots[0].split(',')
          return `<circle cx="${cx}" cy="${cy}" r="2.5" fill="${colour}"/>`
        })
        .join('')
    })
    .join('')
  return chartFrame({ title, xLabel, yLabel, x, y, names: series.map(({ name }) => name), content })
}
