// In bfloat16 on the emulated CUDA device, PEFT's training comes no further from float32 than PyTorch's own bfloat16 does.
import { join } from 'node:path'
import { selectBackend } from '@tunesmith/backend'
import { readJsonFile } from '@tunesmith/hub'
import { loadModel } from '@tunesmith/models'
import { loadPeftModel } from '@tunesmith/peft-lora'
import { emulateCuda } from '@tunesmith/tooling/emulated-cuda'
import { beforeAll, describe, expect, it } from 'vitest'
import { goldenBatches, goldenSteps, goldens, type Trajectory } from '../testing/golden-lora'
import spread from './fixtures/bf16-spread.json' with { type: 'json' }

const there = emulateCuda('bf16')
// Sixty steps take half a minute on the emulator: one golden always, the others by name (TUNESMITH_BF16_GOLDENS=b_rslora_all).
const wanted = (process.env.TUNESMITH_BF16_GOLDENS ?? 'a_lora_qv').split(',')
const cases = Object.entries(spread.cases).filter(([name]) => wanted.includes(name))

/** The losses of a golden's training, as scripts/make_bf16_spread.py trains it. */
async function losses(name: string): Promise<number[]> {
  const batches = await goldenBatches()
  const model = await loadModel(join(goldens!, '..', 'tiny-llama'))
  const parameters = (await loadPeftModel(model, join(goldens!, name, 'initial'))).parameters()
  const all = [...goldenSteps(model, parameters, batches, { steps: spread.steps })].map(({ loss }) => loss)
  model.dispose()
  return all
}

describe.runIf(there && goldens)('bfloat16 on the CUDA backend', () => {
  beforeAll(() => selectBackend({ backend: 'cuda' }))

  it.each(cases)('%s stays within the spread of PyTorch', { timeout: 600_000 }, async (name, theirs) => {
    const { loss } = await readJsonFile<Trajectory>(join(goldens!, name, 'trajectory.json'))
    const differences = (await losses(name)).map((ours, step) => Math.abs(ours - loss[step]!))
    const largest = Math.max(...differences)
    const mean = differences.reduce((sum, one) => sum + one, 0) / differences.length
    // Rounding is there: this did run in bfloat16.
    expect(mean).toBeGreaterThan(1e-5)
    const figures = `largest ${largest}, mean ${mean}`
    expect(largest, figures).toBeLessThanOrEqual(Math.max(...theirs.map(({ max }) => max)))
    expect(mean, figures).toBeLessThanOrEqual(Math.max(...theirs.map((one) => one.mean)))
  })
})
