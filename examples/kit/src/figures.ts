import { mkdirSync, writeFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import type { ExampleRun } from './run'

/** What a run measured, by name; tests read it from `figures.json`. */
export type Figures = Record<string, unknown>

/** Writes the figures of a run, and the seconds it took, beside its other results. */
export function saveFigures({ name, mode, outputDir, started }: ExampleRun, figures: Figures): void {
  const file = join(outputDir, 'figures.json')
  const seconds = (performance.now() - started) / 1000
  mkdirSync(outputDir, { recursive: true })
  writeFileSync(file, `${JSON.stringify({ example: name, mode, seconds, ...figures }, null, 2)}\n`)
  console.log(`figures: ${relative(process.cwd(), file)}`)
}

export const percent = (share: number, digits = 1): string => `${(100 * share).toFixed(digits)}%`
export const count = (value: number): string => Math.round(value).toLocaleString('en-US')
export const bytesText = (bytes: number): string =>
  bytes < 1e6
    ? `${(bytes / 1e3).toFixed(0)} kB`
    : bytes < 1e8
      ? `${(bytes / 1e6).toFixed(1)} MB`
      : `${(bytes / 1e9).toFixed(1)} GB`

/** `0.512 [0.431, 0.594]` */
export const range = ({ score, low, high }: { score: number; low: number; high: number }, digits = 3): string =>
  `${score.toFixed(digits)} [${low.toFixed(digits)}, ${high.toFixed(digits)}]`

/** `p < 0.001` or `p = 0.02` */
export const pText = (p: number): string => (p < 0.001 ? 'p < 0.001' : `p = ${p.toPrecision(2)}`)
