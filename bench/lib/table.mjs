const figure = (value) => {
  if (value === undefined || value === null) return '-'
  if (value === 0) return '0'
  const size = Math.abs(value)
  if (size >= 1000) return Math.round(value).toLocaleString('en-US')
  return value.toPrecision(3)
}

const mebibytes = (bytes) => (bytes === undefined || bytes === null ? '-' : `${Math.round(bytes / 2 ** 20)} MiB`)

/** The rows as text, columns aligned. The memory columns appear when a row has them. */
export function table(rows) {
  const memory = rows.some((row) => row.oursMemory !== undefined || row.peerMemory !== undefined)
  const head = ['case', 'ours', 'peer', 'ratio', 'unit', ...(memory ? ['our memory', "peer's memory"] : [])]
  const body = rows.map((row) => [
    row.case,
    figure(row.ours),
    figure(row.peer),
    row.ratio === undefined || row.ratio === null ? '-' : `${row.ratio.toFixed(2)}x`,
    row.unit,
    ...(memory ? [mebibytes(row.oursMemory), mebibytes(row.peerMemory)] : []),
  ])
  const widths = head.map((_, column) => Math.max(...[head, ...body].map((line) => String(line[column]).length)))
  const left = new Set(['case', 'unit'])
  const format = (line) =>
    line
      .map((cell, i) => (left.has(head[i]) ? String(cell).padEnd(widths[i]) : String(cell).padStart(widths[i])))
      .join('  ')
      .trimEnd()
  return [format(head), widths.map((width) => '-'.repeat(width)).join('  '), ...body.map(format)].join('\n')
}
