import { escapeHtml } from '@tunesmith/core'
import type { QuantizationError } from './error'

/** One quantized weight. */
export interface QuantizedLayer extends QuantizationError {
  /** The weight's name in the checkpoint. */
  name: string
  shape: readonly number[]
  bytesBefore: number
  /** With scales and maps. */
  bytesAfter: number
}

/** What quantizing a checkpoint did. */
export interface QuantizationReport {
  format: 'nf4' | 'fp4' | 'int8'
  /** Bytes of all tensors, also those that were not quantized. */
  bytesBefore: number
  bytesAfter: number
  /** In the checkpoint's order. */
  layers: QuantizedLayer[]
}

const megabytes = (bytes: number) => (bytes < 1e5 ? `${(bytes / 1e3).toFixed(1)} kB` : `${(bytes / 1e6).toFixed(1)} MB`)

/** The report as a Markdown table: sizes, then a row per layer, the worst relative error marked. */
export function reportToMarkdown({ format, bytesBefore, bytesAfter, layers }: QuantizationReport): string {
  const worst = layers.reduce((worst, { relative }) => Math.max(worst, relative), 0)
  const rows = layers.map(({ name, shape, relative, max, mean, ...bytes }) => {
    const size = `${megabytes(bytes.bytesBefore)} -> ${megabytes(bytes.bytesAfter)}`
    const mark = relative === worst ? ' (worst)' : ''
    const error = `${relative.toFixed(4)}${mark} | ${max.toExponential(2)} | ${mean.toExponential(2)}`
    return `| ${name} | ${shape.join(' x ')} | ${size} | ${error} |`
  })
  return [
    `${format}: ${megabytes(bytesBefore)} -> ${megabytes(bytesAfter)} (${((100 * bytesAfter) / bytesBefore).toFixed(1)} %)`,
    '',
    '| layer | shape | size | relative error | max error | mean error |',
    '| --- | --- | --- | --- | --- | --- |',
    ...rows,
    '',
  ].join('\n')
}

const WIDTH = 760
const HEIGHT = 420
const LEFT = 64
const TOP = 40
const RIGHT = 150
const BOTTOM = 52
// Okabe and Ito's colours, told apart by colour-blind readers too; shapes repeat the distinction without colour.
const COLOURS = ['#0072B2', '#D55E00', '#009E73', '#CC79A7', '#E69F00', '#56B4E9', '#444444']
const SHAPES = ['M-4 0a4 4 0 1 0 8 0a4 4 0 1 0-8 0', 'M-4-4h8v8h-8z', 'M0-5l5 9h-10z', 'M0-5l5 5l-5 5l-5-5z']

/** A round number of at least `x`, for the axis' end. */
function roundUp(x: number): number {
  const power = 10 ** Math.floor(Math.log10(x || 1))
  return ([1, 2, 2.5, 5, 10].find((step) => step * power >= x) ?? 10) * power
}

/**
 * Draws the relative error of every layer as an SVG: blocks from left to right, one mark per module (`q_proj`, ...).
 *
 * @returns the text of a self-contained SVG file.
 */
export function plotErrors({ format, layers }: QuantizationReport): string {
  const points = layers.map(({ name, relative }, i) => ({
    name,
    relative,
    block: Number(/\.(\d+)\./.exec(name)?.[1] ?? i),
    module: name
      .replace(/\.weight$/, '')
      .split('.')
      .at(-1)!,
  }))
  const modules = [...new Set(points.map(({ module }) => module))]
  const lastBlock = points.reduce((last, { block }) => Math.max(last, block), 1)
  const top = roundUp(points.reduce((largest, { relative }) => Math.max(largest, relative), 0))
  const x = (block: number) => LEFT + (block / lastBlock) * (WIDTH - LEFT - RIGHT)
  const y = (relative: number) => HEIGHT - BOTTOM - (relative / top) * (HEIGHT - TOP - BOTTOM)
  const mark = (index: number) =>
    `<path d="${SHAPES[index % SHAPES.length]}" fill="${COLOURS[index % COLOURS.length]}"/>`
  const text = (tx: number, ty: number, content: string, anchor = 'start') =>
    `<text x="${tx.toFixed(1)}" y="${ty.toFixed(1)}" text-anchor="${anchor}">${escapeHtml(content)}</text>`

  const grid = Array.from({ length: 6 }, (_, i) => (top * i) / 5).flatMap((value) => [
    `<path d="M${LEFT} ${y(value).toFixed(1)}H${WIDTH - RIGHT}" stroke="#dddddd"/>`,
    text(LEFT - 8, y(value) + 4, String(Number(value.toPrecision(3))), 'end'),
  ])
  const step = Math.max(1, Math.ceil(lastBlock / 10))
  const ticks = Array.from({ length: Math.floor(lastBlock / step) + 1 }, (_, i) =>
    text(x(i * step), HEIGHT - BOTTOM + 20, String(i * step), 'middle'),
  )
  const marks = points.map(
    ({ name, relative, block, module }) =>
      `<g transform="translate(${x(block).toFixed(1)} ${y(relative).toFixed(1)})"><title>${escapeHtml(name)}: ${relative.toFixed(5)}</title>${mark(modules.indexOf(module))}</g>`,
  )
  const legend = modules.map(
    (module, i) =>
      `<g transform="translate(${WIDTH - RIGHT + 20} ${TOP + 10 + i * 20})">${mark(i)}${text(12, 4, module)}</g>`,
  )
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="sans-serif" font-size="12" fill="#222222">`,
    `<rect width="${WIDTH}" height="${HEIGHT}" fill="#ffffff"/>`,
    text(LEFT, 22, `${format}: relative error of each layer`),
    ...grid,
    ...ticks,
    text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 12, 'block', 'middle'),
    ...marks,
    ...legend,
    '</svg>',
    '',
  ].join('\n')
}
