/** What a profile of the CUDA backend says, as text and as a bound. */

/**
 * The least time a device of these speeds could need for what a profile counted, each operation at whichever of the two
 * bounds it. By counting: nothing of it was measured.
 *
 * @param speeds `flops` per second of its products, `bytes` per second of its memory
 */
export function roofline({ operations }, speeds) {
  return operations.reduce((sum, { flops, bytes }) => sum + Math.max(flops / speeds.flops, bytes / speeds.bytes), 0)
}

const aligned = (rows) => {
  const widths = rows[0].map((_, column) => Math.max(...rows.map((cells) => String(cells[column]).length)))
  const line = (cells) => cells.map((cell, i) => String(cell)[i === 0 ? 'padEnd' : 'padStart'](widths[i])).join('  ')
  return rows.map(line).join('\n')
}

const share = (part, whole) => (whole > 0 ? `${((100 * part) / whole).toFixed(1)}%` : '-')

/**
 * The largest operations of a profile as text: by time where there is a clock, else by the roofline's bound.
 *
 * @param wall seconds of the whole step, for the gaps between the operations; undefined where there is no clock
 */
export function operationsTable(profile, { wall, speeds, rows = 10 }) {
  const { operations, seconds } = profile
  const bound = ({ flops, bytes }) => Math.max(flops / speeds.flops, bytes / speeds.bytes)
  const timed = seconds > 0
  const time = (row) => (timed ? row.seconds : bound(row))
  const sorted = [...operations].sort((a, b) => time(b) - time(a))
  const whole = timed ? wall : operations.reduce((sum, row) => sum + bound(row), 0)
  const rest = sorted.slice(rows)
  const sum = (list, f) => list.reduce((total, row) => total + f(row), 0)
  const cells = (name, list) => {
    const [ms, bytes, flops] = [sum(list, time), sum(list, (r) => r.bytes), sum(list, (r) => r.flops)]
    const speed = timed ? [`${(bytes / ms / 1e9).toFixed(0)} GB/s`, `${(flops / ms / 1e12).toFixed(0)} TFLOP/s`] : []
    const counts = [sum(list, (r) => r.calls), sum(list, (r) => r.launches)]
    const amounts = [(bytes / 1e9).toFixed(2), (flops / 1e12).toFixed(2)]
    return [name, (1000 * ms).toFixed(2), share(ms, whole), ...counts, ...amounts, ...speed]
  }
  const head = ['operation', timed ? 'ms' : 'ms at least', 'share', 'calls', 'launches', 'GB', 'TFLOP']
  const lines = [
    [...head, ...(timed ? ['reached', ''] : [])],
    ...sorted.slice(0, rows).map((row) => cells(row.name, [row])),
  ]
  if (rest.length > 0) lines.push(cells(`and ${rest.length} more`, rest))
  const blank = Array(lines[0].length - 3).fill('')
  if (timed)
    lines.push(['and the rest: host gaps', (1000 * (wall - seconds)).toFixed(2), share(wall - seconds, wall), ...blank])
  return aligned(lines)
}

/** Who holds the memory at a peak, as text. */
export function consumersTable(consumers, rows = 12) {
  const gigabytes = (bytes) => (bytes / 2 ** 30).toFixed(3)
  const rest = consumers.slice(rows).reduce((sum, { bytes }) => sum + bytes, 0)
  const lines = consumers.slice(0, rows).map(({ name, bytes, count }) => [name, gigabytes(bytes), count])
  if (rest > 0) lines.push(['the rest', gigabytes(rest), ''])
  return aligned([['at the peak', 'GiB', 'tensors'], ...lines])
}
