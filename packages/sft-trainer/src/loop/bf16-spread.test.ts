// In bfloat16 on the emulated CUDA device, PEFT's training comes no further from float32 than PyTorch's own bfloat16 does.
import { join } from 'node:path'
import * as tf from '@tensorflow/tfjs-core'
import { gradNorm, selectBackend } from '@tunesmith/backend'
import { readJsonFile } from '@tunesmith/hub'
import { loadModel } from '@tunesmith/models'
import { loadPeftModel } from '@tunesmith/peft-lora'
import { emulateCuda } from '@tunesmith/tooling/emulated-cuda'
import { beforeAll, describe, expect, it } from 'vitest'
import { adamW } from '../optimizers/adamw'
import { goldenBatches, goldens, type Trajectory } from '../testing/golden-lora'
import spread from './fixtures/bf16-spread.json' with { type: 'json' }
import { forwardBackward } from './micro-batch'
import { sftObjective } from './objective'

const there = emulateCuda('bf16')
// Sixty steps take half a minute on the emulator: one golden always, the others by name (TUNESMITH_BF16_GOLDENS=b_rslora_all).
const wanted = (process.env.TUNESMITH_BF16_GOLDENS ?? 'a_lora_qv').split(',')
const cases = Object.entries(spread.cases).filter(([name]) => wanted.includes(name))

/** The losses of a golden's training, as scripts/make_bf16_spread.py trains it. */
async function losses(name: string): Promise<number[]> {
  const batches = await goldenBatches()
  const model = await loadModel(join(goldens!, '..', 'tiny-llama'))
  const parameters = (await loadPeftModel(model, join(goldens!, name, 'initial'))).parameters()
  const moments = { beta1: 0.9, beta2: 0.999, eps: 1e-8 }
  const optimizer = adamW([{ parameters, lrScale: 1, weightDecay: 0.01 }], moments)
  const objective = sftObjective(model, { lossType: 'nll', labelSmoothingFactor: 0, gradientCheckpointing: false })
  const all: number[] = []
  for (let step = 0; step < spread.steps; step++) {
    const window = [batches[(2 * step) % 12]!, batches[(2 * step + 1) % 12]!]
    const items = window.reduce((sum, { numLabels }) => sum + numLabels, 0)
    const [one, two] = window.map((batch) => forwardBackward(objective, parameters, batch, 1 / items))
    const grads = new Map([...one!.grads].map(([key, grad]) => [key, tf.add(grad, two!.grads.get(key)!)]))
    all.push((one!.sums.loss + two!.sums.loss) / items)
    const lr = step < 6 ? (1e-3 * step) / 6 : (1e-3 * (60 - step)) / 54
    optimizer.step(grads, lr, Math.min(1, 1 / (gradNorm([...grads.values()]) + 1e-6)))
    tf.dispose([...grads.values(), ...one!.grads.values(), ...two!.grads.values()])
  }
  optimizer.dispose()
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
