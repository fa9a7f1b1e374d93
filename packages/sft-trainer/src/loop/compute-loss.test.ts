import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as tf from '@tensorflow/tfjs-core'
import { selectBackend } from '@tunesmith/backend'
import { testedBackends } from '@tunesmith/backend/testing/backends'
import { type ComputeLoss, createModel, labelLogProbs } from '@tunesmith/models'
import { emulateCuda } from '@tunesmith/tooling/emulated-cuda'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { SFTTrainerOptions } from '../index'
import { TINY_MODEL } from '../testing/counting-task'
import { focalLoss } from '../testing/focal-loss'
import { tinyTrainer } from '../testing/tiny-trainer'

type Args = Partial<SFTTrainerOptions['args']>
interface Case {
  name: string
  args?: Args
  peftConfig?: SFTTrainerOptions['peftConfig'] | 'none'
  config?: object
}
const untied = { tie_word_embeddings: false }
const LORA = { r: 4, loraAlpha: 8, targetModules: 'all-linear' }
const CASES: Case[] = [
  { name: 'LoRA' },
  { name: 'packing', args: { packing: true, maxLength: 32 } },
  { name: 'checkpointing', args: { gradientCheckpointing: true, activationOffloading: true } },
  { name: 'accumulation and fp16 scaling', args: { gradientAccumulationSteps: 3, fp16: true } },
  {
    name: 'LoRA on the head',
    config: untied,
    peftConfig: { ...LORA, targetModules: ['o_proj', 'up_proj', 'down_proj', 'lm_head'] },
  },
  { name: 'a whole head beside LoRA', config: untied, peftConfig: { ...LORA, modulesToSave: ['lm_head'] } },
  { name: 'full fine-tuning, tied', peftConfig: 'none' },
  {
    name: 'full fine-tuning with soft-capped logits and checkpointing',
    config: { ...untied, final_logit_softcapping: 30 },
    args: { gradientCheckpointing: true },
    peftConfig: 'none',
  },
]

const backends = [...testedBackends, 'native' as const, ...(emulateCuda('f32') ? (['cuda'] as const) : [])]

let outputDir: string
beforeAll(async () => {
  outputDir = await mkdtemp(join(tmpdir(), 'tunesmith-loss-'))
})
afterAll(() => rm(outputDir, { recursive: true }))

async function train({ args, peftConfig = LORA, config }: Case, steps: number, computeLoss?: ComputeLoss) {
  const tensors: number[] = []
  const { trainer } = tinyTrainer(
    { outputDir, maxSteps: steps, learningRate: 1e-2, evalStrategy: 'steps', evalSteps: steps, ...args },
    {
      model: createModel({ ...TINY_MODEL, ...config }, { seed: 3 }),
      peftConfig: peftConfig === 'none' ? undefined : peftConfig,
      computeLoss,
      callbacks: [{ onStepEnd: () => void tensors.push(tf.memory().numTensors) }],
    },
  )
  const { logs, evals } = await trainer.train()
  trainer.model.dispose()
  return { logs, evals, tensors }
}

describe.each(backends)('computeLoss on %s', (backend) => {
  beforeAll(async () => {
    expect((await selectBackend({ backend })).name).toBe(backend)
  })

  it.each(CASES)('a focal loss is learned with $name', async (one) => {
    const { logs, evals, tensors } = await train(one, 8, focalLoss)
    expect(logs.at(-1)!.loss).toBeLessThan(0.9 * logs[0]!.loss)
    expect(tensors[7]).toBe(tensors[1])
    // Below the negative log-likelihood of the same model, whose mean it weighs with factors below 1.
    expect(evals[0]!.evalLoss).toBeLessThan(logs[0]!.loss)
  })

  it.each(CASES)('the negative log-likelihood as a computeLoss trains like the fused one with $name', async (one) => {
    const own = await train(one, 3, (logits, labels) => tf.neg(labelLogProbs(logits, labels)))
    const fused = await train(one, 3)
    for (const [i, { loss, gradNorm, meanTokenAccuracy, entropy }] of fused.logs.entries()) {
      const got = own.logs[i]!
      expect(Math.abs(got.loss / loss - 1)).toBeLessThan(5e-5)
      expect(Math.abs(got.gradNorm / gradNorm - 1)).toBeLessThan(5e-4)
      expect(Math.abs(got.entropy / entropy - 1)).toBeLessThan(5e-5)
      expect(got.meanTokenAccuracy).toBeCloseTo(meanTokenAccuracy, 5)
    }
    expect(Math.abs(own.evals[0]!.evalLoss / fused.evals[0]!.evalLoss - 1)).toBeLessThan(5e-5)
  })
})

describe('what computeLoss may not be', () => {
  beforeAll(() => selectBackend({ backend: 'native' }))
  const refusal =
    (computeLoss: unknown, args: Args = {}) =>
    () =>
      tinyTrainer({ outputDir, ...args }, { computeLoss: computeLoss as ComputeLoss })

  it('is refused before training', () => {
    expect(refusal('focal')).toThrow(/computeLoss is not a function.*Pass \(logits, labels\)/)
    expect(refusal(focalLoss, { lossType: 'dft' })).toThrow(/replaces lossType and labelSmoothingFactor/)
    expect(refusal(focalLoss, { labelSmoothingFactor: 0.1 })).toThrow(/replaces lossType and labelSmoothingFactor/)
  })

  it('ends training with what to change: a mean, an operation without a gradient, NaN', async () => {
    const failure = (computeLoss: ComputeLoss) =>
      train({ name: '' }, 5, computeLoss).catch((error: Error) => error.message)
    expect(await failure((logits, labels) => tf.mean(focalLoss(logits, labels)))).toMatch(
      /computeLoss returned a float32 tensor of shape \[\].*Return a tensor of shape \[rows\]/,
    )
    expect(await failure((logits) => tf.squeeze(tf.topk(logits).values))).toMatch(
      /No gradient is defined for the operation TopK.*Use operations with a gradient/,
    )
    expect(await failure((logits, labels) => tf.mul<tf.Tensor1D>(focalLoss(logits, labels), Number.NaN))).toMatch(
      /The loss is NaN.*5 steps in a row had to be left out.*computeLoss/,
    )
  })
})
