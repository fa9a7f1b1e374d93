import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as tf from '@tensorflow/tfjs-core'
import { currentBackend, selectBackend } from '@tunesmith/backend'
import { TunesmithError } from '@tunesmith/core'
import { createModel } from '@tunesmith/models'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { SFTTrainerOptions, TrainerCallback } from './index'
import { GradScaler } from './loop/grad-scaler'
import { countingExamples, TINY_MODEL } from './testing/counting-task'
import { tinyTrainer } from './testing/tiny-trainer'

let outputDir: string
beforeAll(async () => {
  await selectBackend()
  outputDir = await mkdtemp(join(tmpdir(), 'tunesmith-guards-'))
})
afterAll(() => rm(outputDir, { recursive: true }))

/** A model whose embedding of token 47 is not a number: rows with it cannot be learned. */
function modelWithBrokenToken() {
  const model = createModel({ ...TINY_MODEL, tie_word_embeddings: false }, { seed: 3 })
  const table = model.embedTokens.weight.weight
  const values = table.dataSync().slice()
  values.fill(Number.NaN, 47 * 32)
  model.embedTokens.weight = { ...model.embedTokens.weight, weight: tf.tensor2d(values as Float32Array, [48, 32]) }
  return model
}
const broken = { inputIds: [3, 47, 5, 6], labels: [-100, 47, 5, 6] }
const sequential = { trainSamplingStrategy: 'sequential', perDeviceTrainBatchSize: 2 } as const

const refusal = (args: Partial<SFTTrainerOptions['args']>, options?: Partial<SFTTrainerOptions>) => {
  try {
    tinyTrainer({ outputDir, ...args }, options)
  } catch (error) {
    return (error as Error).message
  }
  return 'accepted'
}

describe('a loss or gradient that is not a number', () => {
  it('leaves out the step, names the rows, counts, and goes on', async () => {
    const rows = [...countingExamples(6), broken, ...countingExamples(5)]
    const { trainer, notices } = tinyTrainer(
      { outputDir, ...sequential, gradientAccumulationSteps: 2, maxSteps: 6 },
      { model: modelWithBrokenToken(), trainDataset: rows },
    )
    const { skippedSteps, steps, logs, trainLoss } = await trainer.train()
    expect({ skippedSteps, steps }).toEqual({ skippedSteps: 2, steps: 6 })
    // Only the micro-batch it was in is named: rows 6 and 7 of the window 4 to 7.
    expect(notices.map(({ message }) => message)).toEqual([
      expect.stringMatching(/^step 2 was left out: The loss is NaN and the gradient norm NaN with rows 6, 7 of/),
      expect.stringMatching(/^step 5 was left out/),
    ])
    expect(logs.map((log) => Number.isFinite(log.loss))).toEqual([true, false, true, true, false, true])
    expect(logs.at(-1)!.skippedSteps).toBe(2)
    expect(Number.isFinite(trainLoss)).toBe(true)
    for (const variable of trainer.parameters.values()) expect(variable.dataSync().every(Number.isFinite)).toBe(true)
  })

  it('ends training after so many steps in a row', async () => {
    const rows = Array.from({ length: 8 }, () => broken)
    const { trainer } = tinyTrainer(
      { outputDir, ...sequential, maxSteps: 20, maxNonFiniteSteps: 3 },
      { model: modelWithBrokenToken(), trainDataset: rows },
    )
    await expect(trainer.train()).rejects.toMatchObject({
      code: 'numerical',
      where: 'step 3',
      message: expect.stringMatching(/rows 4, 5 of the training data; 3 steps in a row/),
    })
  })
})

describe('loss scaling', () => {
  it('follows torch’s GradScaler', () => {
    const scaler = new GradScaler(true)
    expect(scaler.scale).toBe(65536)
    scaler.update(true)
    expect(scaler.scale).toBe(32768)
    for (let i = 0; i < 1999; i++) scaler.update(false)
    expect(scaler.scale).toBe(32768)
    scaler.update(false)
    expect(scaler.scale).toBe(65536)
    const resumed = new GradScaler(true)
    resumed.load({ scale: 8, growthTracker: 1999 })
    resumed.update(false)
    expect(resumed.state()).toEqual({ scale: 16, growthTracker: 0 })
    expect(new GradScaler(false).scale).toBe(1)
  })

  it('leaves out overflowing steps and lowers the scale until they fit; the schedule waits for them', async (context) => {
    if (currentBackend()?.name !== 'native')
      context.skip('only the native backend has a norm for gradients whose squares overflow')
    const model = createModel(TINY_MODEL, { seed: 3 })
    // Gradients that fit into float32, but not 65536 times as large.
    tf.tidy(() => (model.norms.get('model.norm')!.weight as tf.Variable).assign(tf.fill([32], 1e36)))
    const { trainer } = tinyTrainer({ outputDir, fp16: true, maxSteps: 20, warmupSteps: 4 }, { model })
    const { logs, skippedSteps } = await trainer.train()
    expect(skippedSteps).toBeGreaterThan(2)
    expect(skippedSteps).toBeLessThan(18)
    expect(logs.at(-1)!.lossScale).toBe(65536 / 2 ** skippedSteps)
    expect(logs[skippedSteps + 1]!.learningRate).toBe(5e-3 / 4)
  })

  it('changes nothing where nothing overflows: a power of two is exact', async () => {
    const losses = async (fp16: boolean) =>
      (await tinyTrainer({ outputDir, fp16 }).trainer.train()).logs.map((l) => l.loss)
    expect(await losses(true)).toEqual(await losses(false))
  })
})

describe('what would teach nothing', () => {
  it('is refused before anything is computed', () => {
    expect(refusal({ learningRate: 0 })).toContain('learning rate is 0')
    expect(refusal({ fp16: true, bf16: true })).toContain('fp16 and bf16')
    expect(refusal({ activationOffloading: true })).toContain('Set gradientCheckpointing to true')
    expect(refusal({ loadBestModelAtEnd: true })).toContain('Set evalStrategy')
    expect(refusal({ saveStrategy: 'best' })).toContain('Set evalStrategy')
    expect(refusal({ lrSchedulerType: 'reduce_lr_on_plateau' })).toContain('waits for evaluations')
    expect(refusal({ evalStrategy: 'steps' }, { evalDataset: undefined })).toContain('no evaluation data')
    expect(refusal({ lrSchedulerKwargs: { numCycels: 2 } })).toContain('numCycels')
    expect(refusal({ optimArgs: { momentun: 1 }, optim: 'sgd' })).toContain('momentun')
  })

  it('is refused when all labels are masked, or no batch is full; a small dataset is said', async () => {
    const masked = countingExamples(5).map(({ inputIds }) => ({ inputIds, labels: inputIds.map(() => -100) }))
    const train = (args: object, trainDataset: SFTTrainerOptions['trainDataset']) =>
      tinyTrainer({ outputDir, ...args }, { trainDataset }).trainer.train()
    await expect(train({}, masked)).rejects.toThrow('No row has anything to learn from')
    await expect(train({ packing: true }, masked)).rejects.toThrow('All labels are masked')
    await expect(train({ dataloaderDropLast: true }, countingExamples(3))).rejects.toThrow('no full batch of 4')
    const { trainer, notices } = tinyTrainer({ outputDir, maxSteps: 1 }, { trainDataset: countingExamples(3) })
    await trainer.train()
    expect(notices[0]!.message).toContain('there are 3 rows, fewer than the 4 of a step')
  })
})

describe('failures around the loop', () => {
  it('a lack of memory comes with the settings to change and by how much', async () => {
    const fail: TrainerCallback = {
      onStepBegin() {
        throw new TunesmithError('No memory for a tensor of 8 GB', { code: 'out_of_memory' })
      },
    }
    const failure = tinyTrainer({ outputDir, perDeviceTrainBatchSize: 8 }, { callbacks: [fail] }).trainer.train()
    await expect(failure).rejects.toMatchObject({ code: 'out_of_memory' })
    const { message } = (await failure.catch((error) => error)) as Error
    expect(message).toMatch(
      /perDeviceTrainBatchSize 8 to 4 with gradientAccumulationSteps 1 to 2 .*saves about [\d.]+ GB/,
    )
    expect(message).toMatch(/gradientCheckpointing true/)
    expect(message).toMatch(/adamw_8bit/)
  })

  it('a reporter that fails is said once and left out; a callback that fails ends training', async () => {
    const blocked = join(outputDir, 'blocked')
    await mkdir(join(blocked, 'logs.jsonl'), { recursive: true })
    const { trainer, notices } = tinyTrainer({ outputDir: blocked, reportTo: ['jsonl'], maxSteps: 3 })
    expect((await trainer.train()).ended).toBe('finished')
    expect(notices.map(({ message }) => message)).toEqual([expect.stringMatching(/^A reporter failed/)])
    const callback: TrainerCallback = {
      onLog: () => {
        throw new Error('mine')
      },
    }
    await expect(tinyTrainer({ outputDir }, { callbacks: [callback] }).trainer.train()).rejects.toThrow('mine')
  })

  it('says where there is nothing to move off a device', async () => {
    const args = { outputDir, maxSteps: 1, gradientCheckpointing: true }
    const said = async (more: object) => {
      const { trainer, notices } = tinyTrainer({ ...args, ...more })
      await trainer.train()
      return notices.map(({ message }) => message)
    }
    expect(await said({})).toEqual([])
    const [notice] = await said({ activationOffloading: true, optim: 'paged_adamw_8bit' })
    expect(notice).toMatch(
      /^activationOffloading and paged_adamw_8bit: the backend "\w+" computes in the host's memory/,
    )
  })

  it('leaves no tensor and no signal handler behind', async () => {
    const { trainer } = tinyTrainer({ outputDir, maxSteps: 3, neftuneNoiseAlpha: 5 })
    const handlers = process.listenerCount('SIGTERM')
    const before = tf.memory().numTensors
    await trainer.train()
    expect(tf.memory().numTensors).toBe(before)
    expect(process.listenerCount('SIGTERM')).toBe(handlers)
  })
})
