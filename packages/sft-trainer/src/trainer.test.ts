import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as tf from '@tensorflow/tfjs-core'
import { selectBackend } from '@tunesmith/backend'
import { createModel } from '@tunesmith/models'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type EvalLog, SFTTrainer, type SFTTrainerOptions, type TrainLog } from './index'
import { countingExamples, TINY_MODEL } from './testing/counting-task'

let folder: string
beforeAll(async () => {
  await selectBackend()
  folder = await mkdtemp(join(tmpdir(), 'tunesmith-'))
})
afterAll(() => rm(folder, { recursive: true }))

async function train(args: Partial<SFTTrainerOptions['args']>, options: Partial<SFTTrainerOptions> = {}) {
  const losses: number[] = []
  const tensors: number[] = []
  const model = createModel(TINY_MODEL, { seed: 3 })
  const trainer = new SFTTrainer({
    model,
    args: {
      outputDir: folder,
      learningRate: 5e-3,
      perDeviceTrainBatchSize: 4,
      maxSteps: 30,
      loggingSteps: 1,
      reportTo: [],
      saveStrategy: 'no',
      ...args,
    },
    trainDataset: countingExamples(40),
    peftConfig: { r: 4, loraAlpha: 8, targetModules: 'all-linear' },
    callbacks: [
      {
        onStepEnd({ loss }) {
          losses.push(loss)
          tensors.push(tf.memory().numTensors)
        },
      },
    ],
    ...options,
  })
  const result = await trainer.train()
  return { losses, tensors, trainer, result, model }
}

describe('SFTTrainer', () => {
  it('learns, and leaves as many tensors after a hundred steps as after one', async () => {
    const { losses, tensors } = await train({ maxSteps: 100, learningRate: 2e-2 })
    expect(losses.at(-1)!).toBeLessThan(losses[0]! / 2)
    expect(tensors[99]).toBe(tensors[0])
  })

  it('gives the same losses twice, bit for bit, with dropout', async () => {
    const peftConfig = { r: 4, loraDropout: 0.1, targetModules: 'all-linear' }
    const first = await train({ seed: 11 }, { peftConfig })
    const second = await train({ seed: 11 }, { peftConfig })
    const other = await train({ seed: 12 }, { peftConfig })
    expect(second.losses).toEqual(first.losses)
    expect(other.losses).not.toEqual(first.losses)
  })

  it('gives the same losses with accumulation, packing off or on, and checkpointing', async () => {
    const peftConfig = { r: 4, targetModules: 'all-linear' }
    const order = { trainSamplingStrategy: 'sequential' as const, maxSteps: 5, learningRate: 1e-3 }
    const whole = await train({ ...order, perDeviceTrainBatchSize: 8 }, { peftConfig })
    const same = [
      await train({ ...order, perDeviceTrainBatchSize: 1, gradientAccumulationSteps: 8 }, { peftConfig }),
      await train({ ...order, perDeviceTrainBatchSize: 8, gradientCheckpointing: true }, { peftConfig }),
    ]
    for (const { losses } of same)
      losses.forEach((loss, step) => {
        expect(Math.abs(loss / whole.losses[step]! - 1)).toBeLessThan(1e-5)
      })
    // All rows in one step: however they are packed, the loss is the same.
    const all = { ...order, maxSteps: 1, perDeviceTrainBatchSize: 64 }
    const [loose, packed] = [
      await train(all, { peftConfig }),
      await train({ ...all, packing: true, maxLength: 50 }, { peftConfig }),
    ]
    expect(Math.abs(packed.losses[0]! / loose.losses[0]! - 1)).toBeLessThan(1e-5)
  })

  it('trains every weight without an adapter', async () => {
    const { losses, trainer } = await train({ learningRate: 1e-2, maxSteps: 60 }, { peftConfig: undefined })
    expect(trainer.parameters.size).toBe(1 + 2 * 9 + 1)
    expect(losses.at(-1)!).toBeLessThan(losses[0]! / 2)
  })

  it('reports means, evaluates, and writes its log and its chart', async () => {
    const logs: TrainLog[] = []
    const { result } = await train(
      { maxSteps: 6, loggingSteps: 3, evalStrategy: 'steps', evalSteps: 3, reportTo: ['jsonl', 'chart'] },
      {
        evalDataset: countingExamples(6),
        callbacks: [
          {
            onLog(log) {
              logs.push(log)
            },
          },
        ],
      },
    )
    expect(logs.map(({ step }) => step)).toEqual([3, 6])
    expect(result.evals.map(({ step }) => step)).toEqual([3, 6])
    expect(result.evals[0]!.evalPerplexity).toBeCloseTo(Math.exp(result.evals[0]!.evalLoss), 9)
    const lines = (await readFile(join(folder, 'logs.jsonl'), 'utf8'))
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line))
    expect(lines.map(({ loss, evalLoss }) => loss ?? evalLoss)).toEqual([
      logs[0]!.loss,
      result.evals[0]!.evalLoss,
      logs[1]!.loss,
      result.evals[1]!.evalLoss,
    ])
    expect(await readFile(join(folder, 'loss.svg'), 'utf8')).toContain('<svg')
  })

  it('evaluates to the same loss, perplexity, accuracy and entropy whatever the batch size', async () => {
    const evaluated: EvalLog[] = []
    for (const perDeviceEvalBatchSize of [1, 2, 6]) {
      const { trainer } = await train({ maxSteps: 1, perDeviceEvalBatchSize }, { evalDataset: countingExamples(6) })
      evaluated.push(await trainer.evaluate())
    }
    for (const log of evaluated)
      for (const key of ['evalLoss', 'evalPerplexity', 'evalMeanTokenAccuracy', 'evalEntropy'] as const)
        expect(log[key], key).toBeCloseTo(evaluated[2]![key], 4)
    // The rows differ in length, so the mean of their means is another number.
    expect(evaluated[2]!.evalLossOfBatches).toBeCloseTo(evaluated[2]!.evalLoss, 6)
    expect(Math.abs(evaluated[0]!.evalLossOfBatches / evaluated[0]!.evalLoss - 1)).toBeGreaterThan(1e-4)
  })

  it('stops at an abort, and refuses what would teach nothing', async () => {
    await expect(train({ learningRate: 0 })).rejects.toMatchObject({ code: 'invalid_options' })
    await expect(train({ learningRat: 1 } as never)).rejects.toThrow('did you mean "learningRate"')
    const model = createModel(TINY_MODEL)
    const trainer = new SFTTrainer({
      model,
      args: { outputDir: folder, reportTo: [], saveStrategy: 'no' },
      trainDataset: countingExamples(4),
    })
    await expect(trainer.train({ signal: AbortSignal.abort() })).rejects.toMatchObject({ code: 'aborted' })
  })

  it('says so when the loss is not a number', async () => {
    const model = createModel(TINY_MODEL)
    tf.tidy(() => (model.norms.get('model.norm')!.weight as tf.Variable).assign(tf.fill([32], Number.NaN)))
    const trainer = new SFTTrainer({
      model,
      args: { outputDir: folder, reportTo: [], saveStrategy: 'no' },
      trainDataset: countingExamples(4),
    })
    await expect(trainer.train()).rejects.toMatchObject({ code: 'numerical' })
  })
})
