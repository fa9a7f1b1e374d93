import { escapeHtml } from '@tunesmith/core'

// Okabe and Ito's palette, told apart by colour-blind readers too; lightened for dark pages.
const STYLE =
  '.ts-bars{--c0:#8a8f98;--c1:#d55e00;--c2:#b0568c;--c3:#0072b2;--ink:#1d1d1f;--grid:#d8d8dc;font:12px system-ui,sans-serif;max-width:40rem}' +
  '@media(prefers-color-scheme:dark){.ts-bars{--c0:#7f858f;--c1:#f08a3c;--c2:#e79bc6;--c3:#56b4e9;--ink:#e8e8ea;--grid:#45454a}}' +
  '.ts-bars text{fill:var(--ink)}.ts-bars .t{font-weight:600;font-size:13px}'

export interface Bar {
  score: number
  /** Ends of its interval; left out, no whisker is drawn. */
  low?: number
  high?: number
}

export interface IntervalChartOptions {
  title: string
  /** Names of the systems, in the order of each group's bars, at most four; the last one has the strongest colour. */
  systems: readonly string[]
  groups: readonly { name: string; bars: readonly Bar[] }[]
  /** Right end of the axis. Default 1. */
  max?: number
  xLabel?: string
}

const WIDTH = 560
const LEFT = 130
const RIGHT = 60
const BAR = 14

/** Horizontal bars with their intervals as whiskers, a group per metric, as one SVG element for light and dark pages. */
export function intervalChart({ title, systems, groups, max = 1, xLabel = '' }: IntervalChartOptions): string {
  const x = (value: number) => LEFT + (Math.min(Math.max(value, 0), max) / max) * (WIDTH - LEFT - RIGHT)
  const n = (value: number) => String(Math.round(value * 10) / 10)
  const step = systems.length * BAR + 14
  const top = 48
  const bottom = top + groups.length * step
  const ticks = [0, 0.25, 0.5, 0.75, 1].map((share) => {
    const at = n(x(share * max))
    return (
      `<line x1="${at}" x2="${at}" y1="${top - 6}" y2="${bottom}" stroke="var(--grid)"/>` +
      `<text x="${at}" y="${bottom + 16}" text-anchor="middle">${Number((share * max).toPrecision(3))}</text>`
    )
  })
  // The first is the baseline, in grey, and the last is what the page is about.
  const colour = (s: number) => `var(--c${s > 0 && s === systems.length - 1 ? 3 : s})`
  const bars = groups.map(({ name, bars }, g) => {
    const y = top + g * step
    const drawn = bars.map(({ score, low, high }, s) => {
      const at = y + s * BAR
      const middle = n(at + BAR / 2 - 1)
      const whisker =
        low === undefined || high === undefined
          ? ''
          : `<path d="M${n(x(low))} ${middle}H${n(x(high))}M${n(x(low))} ${n(at + 3)}v${BAR - 8}M${n(x(high))} ${n(at + 3)}v${BAR - 8}" stroke="var(--ink)" stroke-width="1.3"/>`
      const shown = max > 10 ? score.toFixed(1) : score.toFixed(3)
      return (
        `<rect x="${LEFT}" y="${at}" width="${n(x(score) - LEFT)}" height="${BAR - 2}" fill="${colour(s)}"/>${whisker}` +
        `<text x="${n(x(Math.max(score, high ?? score)) + 6)}" y="${at + BAR - 4}">${shown}</text>`
      )
    })
    const label = `<text x="${LEFT - 8}" y="${n(y + (bars.length * BAR) / 2 + 3)}" text-anchor="end">${escapeHtml(name)}</text>`
    return label + drawn.join('')
  })
  let column = LEFT
  const legend = systems.map((name, s) => {
    const item = `<rect x="${column}" y="26" width="10" height="10" fill="${colour(s)}"/><text x="${column + 15}" y="35">${escapeHtml(name)}</text>`
    column += 34 + 7 * name.length
    return item
  })
  const height = bottom + (xLabel ? 40 : 24)
  const axis = xLabel
    ? `<text x="${n((LEFT + WIDTH - RIGHT) / 2)}" y="${height - 6}" text-anchor="middle">${escapeHtml(xLabel)}</text>`
    : ''
  return (
    `<svg class="ts-bars" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="100%" role="img" aria-label="${escapeHtml(title)}">` +
    `<style>${STYLE}</style><text class="t" x="${LEFT}" y="16">${escapeHtml(title)}</text>${legend.join('')}${ticks.join('')}${bars.join('')}${axis}</svg>`
  )
}
