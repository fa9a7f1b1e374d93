import { chartColour, chartFrame, chartPlace, escapeHtml, xScale, yScale } from '@tunesmith/core'
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

// Shapes tell modules apart without colour.
const SHAPES = ['M-4 0a4 4 0 1 0 8 0a4 4 0 1 0-8 0', 'M-4-4h8v8h-8z', 'M0-5l5 9h-10z', 'M0-5l5 5l-5 5l-5-5z']

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
  const size = { width: 760, height: 420, right: 150 }
  const x = xScale(0, lastBlock, size)
  const y = yScale(
    0,
    points.reduce((largest, { relative }) => Math.max(largest, relative), 0),
    size,
  )
  const mark = (index: number) => `<path d="${SHAPES[index % SHAPES.length]}" fill="${chartColour(index)}"/>`
  const at = (px: number, py: number, content: string) =>
    `<g transform="translate(${chartPlace(px)} ${chartPlace(py)})">${content}</g>`
  const marks = points.map(({ name, relative, block, module }) => {
    const title = `<title>${escapeHtml(name)}: ${relative.toFixed(5)}</title>`
    return at(x.at(block), y.at(relative), title + mark(modules.indexOf(module)))
  })
  const legend = modules.map((module, i) =>
    at(size.width - 130, 50 + i * 20, `${mark(i)}<text x="12" y="4">${escapeHtml(module)}</text>`),
  )
  return chartFrame({
    title: `${format}: relative error of each layer`,
    xLabel: 'block',
    yLabel: 'relative error',
    x: { ...x, ticks: x.ticks.filter(Number.isInteger) },
    y,
    size,
    content: [...marks, ...legend].join(''),
  })
}
