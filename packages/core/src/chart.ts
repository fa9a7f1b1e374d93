import { escapeHtml } from './escape-html'

export interface ChartSize {
  width: number
  height: number
  /** Room to the right of the axes. Default 12. */
  right?: number
}

export const CHART_SIZE: ChartSize = { width: 480, height: 270 }
const LEFT = 58
const TOP = 40
const BOTTOM = 46

// The palette of Okabe and Ito, told apart by colour-blind readers too; the dark one is lightened for contrast.
const LIGHT = ['#0072b2', '#d55e00', '#008a66', '#b0568c', '#8a6d00', '#3d7ea6']
const DARK = ['#56b4e9', '#f08a3c', '#2fc79a', '#e79bc6', '#e6c84f', '#9ecae1']

/** The colour of the series `index`, from 0; after the sixth they begin again. */
export const chartColour = (index: number) => `var(--ts-c${index % LIGHT.length})`

const colours = (list: string[]) => list.map((colour, i) => `--ts-c${i}:${colour}`).join(';')

/** Charts carry their own style, so that one alone in a page or a file looks right in light and dark. */
const STYLE =
  `.ts-chart{${colours(LIGHT)};--ts-ink:#1d1d1f;--ts-grid:#d8d8dc;font:12px system-ui,sans-serif;max-width:40rem}` +
  `@media(prefers-color-scheme:dark){.ts-chart{${colours(DARK)};--ts-ink:#e8e8ea;--ts-grid:#45454a}}` +
  '.ts-chart text{fill:var(--ts-ink)}.ts-chart .t{font-weight:600;font-size:13px}' +
  '.ts-chart .g{stroke:var(--ts-grid);stroke-width:1}'

export interface ChartScale {
  /** Position on the drawing of a value. */
  at(value: number): number
  ticks: number[]
  low: number
  high: number
}

/** Round numbers that cover [low, high]: steps of 1, 2 or 5 times a power of ten. */
function ticksFor(low: number, high: number, wanted: number): number[] {
  const rough = (high - low) / wanted
  const power = 10 ** Math.floor(Math.log10(rough))
  const step = ([1, 2, 5, 10].find((m) => m * power >= rough * (1 - 1e-9)) ?? 10) * power
  const first = Math.ceil(low / step - 1e-9)
  const last = Math.floor(high / step + 1e-9)
  return Array.from({ length: Math.max(0, last - first) + 1 }, (_, i) => Number(((first + i) * step).toPrecision(12)))
}

function scale(low: number, high: number, from: number, to: number, wanted: number): ChartScale {
  const pad = Math.max(Math.abs(low), 1) * 0.5
  const [l, h] = high > low ? [low, high] : [low - pad, low + pad]
  return { at: (value) => from + ((value - l) / (h - l)) * (to - from), ticks: ticksFor(l, h, wanted), low: l, high: h }
}

const rightEnd = ({ width, right = 12 }: ChartSize) => width - right

export const xScale = (low: number, high: number, size = CHART_SIZE) => scale(low, high, LEFT, rightEnd(size), 6)
export const yScale = (low: number, high: number, size = CHART_SIZE) => scale(low, high, size.height - BOTTOM, TOP, 5)

function formatTick(value: number): string {
  const size = Math.abs(value)
  if (size !== 0 && (size >= 1e6 || size < 1e-3)) return value.toExponential(1).replace('.0e', 'e').replace('e+', 'e')
  return String(Number(value.toPrecision(6)))
}

/** A coordinate with as many digits as a screen can show. */
export const chartPlace = (value: number) => String(Math.round(value * 10) / 10)

export interface ChartFrame {
  title: string
  xLabel: string
  yLabel: string
  x: ChartScale
  y: ChartScale
  /** Names for the legend, in colour order; none or one leaves the legend out. */
  names?: readonly string[]
  size?: ChartSize
  /** SVG of the data. */
  content: string
}

/** Axes, grid, title and legend around a chart's content. */
export function chartFrame(frame: ChartFrame): string {
  const { title, xLabel, yLabel, x, y, names = [], size = CHART_SIZE, content } = frame
  const { width, height } = size
  const [right, bottom] = [rightEnd(size), height - BOTTOM]
  const grid = y.ticks
    .map((tick) => {
      const at = chartPlace(y.at(tick))
      return (
        `<line class="g" x1="${LEFT}" x2="${right}" y1="${at}" y2="${at}"/>` +
        `<text x="${LEFT - 6}" y="${at}" dy="4" text-anchor="end">${formatTick(tick)}</text>`
      )
    })
    .join('')
  const below = x.ticks
    .map(
      (tick) =>
        `<text x="${chartPlace(x.at(tick))}" y="${bottom + 16}" text-anchor="middle">${formatTick(tick)}</text>`,
    )
    .join('')
  let column = LEFT
  const legend =
    names.length < 2
      ? ''
      : names
          .map((name, i) => {
            const short = name.length > 24 ? `${name.slice(0, 23)}…` : name
            const item =
              `<rect x="${column}" y="21" width="10" height="4" fill="${chartColour(i)}"/>` +
              `<text x="${column + 14}" y="27">${escapeHtml(short)}</text>`
            column += 26 + 7 * short.length
            return item
          })
          .join('')
  const middle = (LEFT + right) / 2
  return (
    `<svg xmlns="http://www.w3.org/2000/svg" class="ts-chart" viewBox="0 0 ${width} ${height}" width="100%" role="img" ` +
    `aria-label="${escapeHtml(title)}"><style>${STYLE}</style>` +
    `<text class="t" x="${LEFT}" y="14">${escapeHtml(title)}</text>${legend}${grid}${below}` +
    `<text x="${middle}" y="${height - 8}" text-anchor="middle">${escapeHtml(xLabel)}</text>` +
    `<text transform="translate(13 ${(TOP + bottom) / 2}) rotate(-90)" text-anchor="middle">${escapeHtml(yLabel)}</text>` +
    `${content}</svg>`
  )
}

export interface BarChart extends Pick<ChartFrame, 'title' | 'xLabel' | 'size'> {
  /** Where the first bin begins, and how wide each is. */
  start: number
  binWidth: number
  /** Rows in each bin. */
  series: readonly { name: string; counts: readonly number[] }[]
  /** What a bar says when it is pointed at. */
  tooltip?: (bin: number, rows: number) => string
  /** Upright lines, left out where they would lie beside the bins. */
  marks?: readonly { at: number; label: string }[]
}

/** Rows per bin, series side by side, as one SVG element. */
export function barChart({ start, binWidth, series, tooltip, marks = [], size, ...labels }: BarChart): string {
  const end = start + binWidth * Math.max(1, ...series.map(({ counts }) => counts.length))
  const x = xScale(start, end, size)
  const y = yScale(0, Math.max(1, ...series.flatMap(({ counts }) => counts)), size)
  const bars = series.flatMap(({ counts }, s) =>
    counts.map((rows, bin) => {
      const left = x.at(start + bin * binWidth) + 0.5
      const width = (x.at(start + (bin + 1) * binWidth) - left - 0.5) / series.length
      const top = y.at(rows)
      return (
        `<rect x="${chartPlace(left + s * width)}" y="${chartPlace(top)}" width="${chartPlace(width)}" ` +
        `height="${chartPlace(y.at(0) - top)}" fill="${chartColour(s)}">` +
        `${tooltip ? `<title>${escapeHtml(tooltip(bin, rows))}</title>` : ''}</rect>`
      )
    }),
  )
  const lines = marks
    .filter(({ at }) => at >= start && at <= end)
    .map(({ at, label }) => {
      const place = chartPlace(x.at(at))
      return (
        `<line x1="${place}" x2="${place}" y1="${TOP}" y2="${y.at(0)}" stroke="${chartColour(1)}" stroke-dasharray="4 3"/>` +
        `<text x="${place}" dx="4" y="${TOP + 11}">${escapeHtml(label)}</text>`
      )
    })
  const names = series.map(({ name }) => name)
  return chartFrame({ ...labels, yLabel: 'rows', x, y, names, size, content: [...bars, ...lines].join('') })
}
