// In bfloat16 on the emulated CUDA device and on the CPU, PEFT's training comes no further from float32 than PyTorch's own
// bfloat16 does.
import { join } from 'node:path'
import { selectBackend } from '@tunesmith/backend'
import { readJsonFile } from '@tunesmith/hub'
import { loadModel } from '@tunesmith/models'
import { loadPeftModel } from '@tunesmith/peft-lora'
import { emulateCuda } from '@tunesmith/tooling/emulated-cuda'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { goldenBatches, goldenSteps, goldens, type Trajectory } from '../testing/golden-lora'
import spread from './fixtures/bf16-spread.json' with { type: 'json' }

const there = emulateCuda('bf16')
// Sixty steps take half a minute on the emulator: one golden always, the others by name (TUNESMITH_BF16_GOLDENS=b_rslora_all).
const wanted = (process.env.TUNESMITH_BF16_GOLDENS ?? 'a_lora_qv').split(',')
const cases = Object.entries(spread.cases).filter(([name]) => wanted.includes(name))

/** The losses of a golden's training, as scripts/make_bf16_spread.py trains it. */
async function losses(name: string, base = 'tiny-llama'): Promise<number[]> {
  const batches = await goldenBatches()
  const model = await loadModel(join(goldens!, '..', base))
  const parameters = (await loadPeftModel(model, join(goldens!, name, 'initial'))).parameters()
  const all = [...goldenSteps(model, parameters, batches, { steps: spread.steps })].map(({ loss }) => loss)
  model.dispose()
  return all
}

/** @param ours the losses of a golden's steps */
async function expectWithinSpread(name: string, theirs: { max: number; mean: number }[], ours: number[]) {
  const { loss } = await readJsonFile<Trajectory>(join(goldens!, name, 'trajectory.json'))
  const differences = ours.map((one, step) => Math.abs(one - loss[step]!))
  const largest = Math.max(...differences)
  const mean = differences.reduce((sum, one) => sum + one, 0) / differences.length
  // Rounding is there: this did run in bfloat16.
  expect(mean).toBeGreaterThan(1e-5)
  const figures = `largest ${largest}, mean ${mean}`
  expect(largest, figures).toBeLessThanOrEqual(Math.max(...theirs.map(({ max }) => max)))
  expect(mean, figures).toBeLessThanOrEqual(Math.max(...theirs.map((one) => one.mean)))
}

describe.runIf(there && goldens)('bfloat16 on the CUDA backend', () => {
  beforeAll(() => selectBackend({ backend: 'cuda' }))

  it.each(cases)('%s stays within the spread of PyTorch', { timeout: 600_000 }, async (name, theirs) => {
    await expectWithinSpread(name, theirs, await losses(name))
  })
})

const onCpu = await selectBackend({ backend: 'native', precision: 'bf16' }).catch((error: Error) => error.message)
if (typeof onCpu === 'string') console.log(`skipped: ${onCpu}`)

describe.runIf(typeof onCpu !== 'string' && goldens)('bfloat16 on the CPU', () => {
  beforeAll(() => selectBackend({ backend: 'native', precision: 'bf16' }))
  afterAll(() => selectBackend({ backend: 'native', precision: 'f32' }))

  it.each(Object.entries(spread.cases))('%s stays within the spread of PyTorch', async (name, theirs) => {
    const inBF16 = await losses(name, 'tiny-llama-bf16-sharded')
    await expectWithinSpread(name, theirs, inBF16)
    // The weights are rounded either way; the products add their part.
    await selectBackend({ backend: 'native', precision: 'f32' })
    const inF32 = await losses(name, 'tiny-llama-bf16-sharded')
    await selectBackend({ backend: 'native', precision: 'bf16' })
    expect(inBF16).not.toEqual(inF32)
  })
})
