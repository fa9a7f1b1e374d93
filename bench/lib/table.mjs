const figure = (value) => {
  if (value === undefined || value === null) return '-'
  if (value === 0) return '0'
  const size = Math.abs(value)
  if (size >= 1000) return Math.round(value).toLocaleString('en-US')
  return value.toPrecision(3)
}

const mebibytes = (bytes) => (bytes === undefined || bytes === null ? '-' : `${Math.round(bytes / 2 ** 20)} MiB`)

/** `torch float32 31.2, torch bf16 57.0`, without the best. */
const otherPeers = ({ peers = {}, peerName }) =>
  Object.entries(peers)
    .filter(([name]) => name !== peerName)
    .map(([name, { value }]) => `${name} ${figure(value)}`)
    .join(', ') || '-'

/** What a column says of a row, and on which side of the column it stands. A column without `when` is always there. */
const COLUMNS = [
  { head: 'case', left: true, cell: (row) => row.case },
  { head: 'ours', cell: (row) => figure(row.ours) },
  { head: 'peer', cell: (row) => figure(row.peer) },
  {
    head: 'ratio',
    cell: ({ ratio }) => (ratio === undefined || ratio === null ? '-' : `${ratio.toFixed(2)}x`),
  },
  { head: 'unit', left: true, cell: (row) => row.unit },
  {
    head: 'of peak',
    cell: ({ ofPeak }) => (ofPeak === undefined ? '-' : `${Math.round(100 * ofPeak)}%`),
    when: ({ ofPeak }) => ofPeak !== undefined,
  },
  { head: 'best peer', left: true, cell: ({ peerName }) => peerName ?? '-', when: ({ peers }) => peers },
  { head: 'other peers', left: true, cell: otherPeers, when: ({ peers }) => peers && Object.keys(peers).length > 1 },
  { head: 'our memory', cell: (row) => mebibytes(row.oursMemory), when: hasMemory },
  { head: "peer's memory", cell: (row) => mebibytes(row.peerMemory), when: hasMemory },
]

function hasMemory({ oursMemory, peerMemory }) {
  return oursMemory !== undefined || peerMemory !== undefined
}

/** The rows as text, columns aligned. Those of peaks, several peers and memory appear when a row has them. */
export function table(rows) {
  const columns = COLUMNS.filter(({ when }) => !when || rows.some(when))
  const lines = [columns.map(({ head }) => head), ...rows.map((row) => columns.map(({ cell }) => cell(row)))]
  const widths = columns.map((_, column) => Math.max(...lines.map((line) => line[column].length)))
  const format = (line) =>
    line
      .map((cell, i) => (columns[i].left ? cell.padEnd(widths[i]) : cell.padStart(widths[i])))
      .join('  ')
      .trimEnd()
  const [head, ...body] = lines.map(format)
  return [head, widths.map((width) => '-'.repeat(width)).join('  '), ...body].join('\n')
}
