/** What a run of `npm run bench:cuda` found, as a page of docs/benchmarks. */
import { verdicts } from './cuda-targets.mjs'
import { table } from './table.mjs'

const cell = (text) => String(text).replaceAll('|', '\\|').replaceAll('\n', ' ')
const lines = (head, rows) =>
  [head, head.map(() => '---'), ...rows].map((row) => `| ${row.map(cell).join(' | ')} |`).join('\n')

/**
 * @param device as the addon describes it, undefined while it is not known
 * @param rows of the measurements, steps as runSteps ends them
 * @param host `machine()` of this computer
 */
export function report({ date, device, versions = [], rows, steps, host, emulated }) {
  const gigabytes = (device?.totalBytes / 2 ** 30).toFixed(0)
  const products = device?.matrixProducts.replace(/ \(.*/, '')
  const gpu = device
    ? `${device.name} (compute capability ${device.capability}, ${gigabytes} GiB), driver for CUDA ${device.driver / 1000}, ${products}`
    : 'No GPU was opened'
  const failed = steps.filter(({ status }) => status === 'failed' || status === 'timeout')
  const measured = rows.length ? `\`\`\`\n${table(rows)}\n\`\`\`` : 'Nothing was measured.'
  return `# CUDA, ${date}

${gpu}; ${host.cpu}, Node ${host.node}${versions.length ? `; ${versions.join(', ')}` : ''}.
Made by \`npm run bench:cuda\`: ours and PyTorch + transformers + PEFT in turns in one call, medians; a ratio above 1 means
that ours is better.${emulated ? ' On the emulator: nothing here is a measurement.' : ''}${
    failed.length
      ? `\n\n**Not everything passed: ${failed.map(({ step, status }) => `${step} (${status})`).join(', ')}.**`
      : ''
  }

## Targets

${lines(
  ['target', 'wanted', 'measured', ''],
  verdicts(rows, steps).map(({ what, wanted, got, verdict }) => [what, wanted, got, verdict]),
)}

## Measurements

${measured}

## Steps

${lines(
  ['step', '', 'seconds', 'reason'],
  steps.map(({ step, status, seconds, reason = '' }) => [step, status, seconds, reason]),
)}
`
}
