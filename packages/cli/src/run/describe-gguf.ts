import type { GgufHead, GgufReadValue } from '@tunesmith/models'

const size = (bytes: number) =>
  bytes < 1e6
    ? `${(bytes / 1e3).toFixed(1)} kB`
    : bytes < 1e9
      ? `${(bytes / 1e6).toFixed(1)} MB`
      : `${(bytes / 1e9).toFixed(2)} GB`

function shown(value: GgufReadValue): string {
  if (Array.isArray(value)) {
    const first = value.slice(0, 4).map(shown).join(', ')
    return `${value.length} elements: ${first}${value.length > 4 ? ', ...' : ''}`
  }
  if (typeof value !== 'string') return String(value)
  const text = JSON.stringify(value)
  return text.length > 100 ? `${text.slice(0, 97)}...` : text
}

/** Lines in columns. */
function table(rows: readonly (readonly string[])[]): string {
  const widths = rows[0]?.map((_, i) => Math.max(...rows.map((row) => row[i]!.length))) ?? []
  return rows
    .map(
      (row) =>
        `  ${row
          .map((cell, i) => cell.padEnd(widths[i]!))
          .join('  ')
          .trimEnd()}`,
    )
    .join('\n')
}

/** What a GGUF file holds, for the terminal: metadata, tensors, and how much of each type there is. */
export function describeGguf(path: string, { version, metadata, tensors, bytes }: GgufHead): string {
  const types = new Map<string, { count: number; elements: number; bytes: number }>()
  for (const { type, shape, bytes: own = 0 } of tensors) {
    const sum = types.get(type) ?? { count: 0, elements: 0, bytes: 0 }
    const elements = shape.reduce((product, n) => product * n, 1)
    types.set(type, { count: sum.count + 1, elements: sum.elements + elements, bytes: sum.bytes + own })
  }
  const elements = [...types.values()].reduce((sum, type) => sum + type.elements, 0)
  const bits = elements > 0 ? `, ${((8 * bytes) / elements).toFixed(2)} bits a weight` : ''
  return [
    `${path}: GGUF version ${version}, ${size(bytes)}, ${tensors.length} tensors, ${elements.toLocaleString('en-US')} weights${bits}`,
    '\nMetadata',
    table([...metadata].map(([key, value]) => [key, shown(value)])),
    '\nTensors',
    table(
      tensors.map(({ name, type, shape, bytes: own }) => [
        name,
        type,
        `[${shape.join(', ')}]`,
        own === undefined ? 'of a size that is not known' : size(own),
      ]),
    ),
    '\nBy type',
    table(
      [...types]
        .sort((a, b) => b[1].bytes - a[1].bytes)
        .map(([type, sum]) => [type, `${sum.count} tensors`, size(sum.bytes)]),
    ),
  ].join('\n')
}
