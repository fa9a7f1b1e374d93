import { expect, it } from 'vitest'
import { report } from './cuda-report.mjs'
import { verdicts } from './cuda-targets.mjs'

const unit = 'tokens/s'
const rows = [
  { case: 'llama-3.1-8b bf16: LoRA step', ours: 100, unit },
  { case: 'llama-3.1-8b bf16: LoRA step', ours: 400, unit: 'TFLOP/s, ours 50% of the 800 of a large product here' },
  {
    case: 'llama-3.1-8b bf16: LoRA step',
    ours: 16_000,
    peer: 13_000,
    ratio: 16 / 13,
    unit,
    oursMemory: 30e9,
    peerMemory: 40e9,
  },
  { case: 'llama-3.1-8b nf4: LoRA step', ours: 15_000, unit },
  { case: 'llama-3.1-8b nf4, checkpointing: LoRA step', ours: 9_000, unit, oursMemory: 8.5e9 },
  {
    case: 'llama-3.1-8b bf16: decoding one sequence',
    ours: 200,
    unit: 'tokens/s, ours 71% of the 4300 GB/s of a copy here',
  },
  {
    case: 'llama-3.1-8b nf4: decoding one sequence',
    ours: 390,
    unit: 'tokens/s, ours 40% of the 4300 GB/s of a copy here',
  },
]
const steps = [
  { step: 'memcheck', status: 'passed', seconds: 9 },
  { step: 'racecheck', status: 'timeout', seconds: 90, reason: 'over 90 s' },
]

it('says of each target whether it was met, by the last row of its case', () => {
  const said = Object.fromEntries(verdicts(rows, steps).map(({ what, got, verdict }) => [what, `${got} ${verdict}`]))
  expect(Object.values(said)).toEqual([
    'yes met',
    'no missed',
    '16,000 tokens/s met',
    '1.23 x missed',
    '0.75 x met',
    '0.938 x met',
    '8.5 GB missed',
    '- not measured',
    '71 % met',
    '1.95 x missed',
  ])
  expect(verdicts([], []).every(({ verdict }) => verdict === 'not measured')).toBe(true)
})

it('writes a page of what there is, also without a device', () => {
  const host = { cpu: 'a processor', node: '20.0.0' }
  const device = {
    name: 'GPU',
    capability: '9.0',
    totalBytes: 2 ** 37,
    driver: 13000,
    matrixProducts: 'cuBLASLt 1 (/x)',
  }
  const page = report({ date: '2030-01-02', device, rows, steps, host })
  expect(page).toContain(
    'GPU (compute capability 9.0, 128 GiB), driver for CUDA 13, cuBLASLt 1; a processor, Node 20.0.0.',
  )
  expect(page).toContain('**Not everything passed: racecheck (timeout).**')
  expect(page).toContain('| LoRA on TinyLlama-1.1B in bf16 | at least 90,000 tokens/s | - | not measured |')
  expect(page).toContain('| racecheck | timeout | 90 | over 90 s |')
  expect(page).toContain('llama-3.1-8b nf4: LoRA step')
  expect(report({ date: '', rows: [], steps: [], host })).toContain('No GPU was opened')
})
