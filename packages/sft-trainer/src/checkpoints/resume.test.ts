import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { selectBackend } from '@tunesmith/backend'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { earlyStopping, type SFTTrainerOptions } from '../index'
import { countingExamples } from '../testing/counting-task'
import { tinyTrainer, weightsOf } from '../testing/tiny-trainer'

let root: string
let outputDir: string
let count = 0
beforeAll(async () => {
  await selectBackend()
  root = await mkdtemp(join(tmpdir(), 'tunesmith-resume-'))
})
beforeEach(() => {
  outputDir = join(root, `run-${count++}`)
})
afterAll(() => rm(root, { recursive: true }))

type Args = Partial<SFTTrainerOptions['args']>

describe('a resumed run ends as if it had never stopped', () => {
  const cases: [string, Args, Partial<SFTTrainerOptions>?][] = [
    ['adamw and cosine', { optim: 'adamw', lrSchedulerType: 'cosine', warmupSteps: 3, weightDecay: 0.1 }],
    ['adamw_8bit, every weight', { optim: 'adamw_8bit', learningRate: 1e-3 }, { peftConfig: undefined }],
    [
      'adafactor, some modules',
      { optim: 'adafactor', trainableModules: ['q_proj', 'model.norm'] },
      { peftConfig: undefined },
    ],
    ['lion', { optim: 'lion', learningRate: 1e-3 }],
    ['sgd with momentum', { optim: 'sgd', optimArgs: { momentum: 0.9 }, learningRate: 0.1 }],
    [
      'AdaLoRA, which gives up ranks',
      { gradientAccumulationSteps: 2 },
      {
        peftConfig: {
          peftType: 'ADALORA',
          targetModules: 'all-linear',
          initR: 4,
          targetR: 2,
          tinit: 2,
          tfinal: 2,
          totalStep: 12,
          deltaT: 1,
        },
      },
    ],
    [
      'prefix tuning, whose projection is in no adapter file',
      { packing: true, maxLength: 40, gradientCheckpointing: true },
      { peftConfig: { peftType: 'PREFIX_TUNING', numVirtualTokens: 3, prefixProjection: true, encoderHiddenSize: 8 } },
    ],
    ['packing, by length', { packing: true, maxLength: 40, trainSamplingStrategy: 'group_by_length' }],
    [
      'LoRA+, NEFTune, smoothing, DFT',
      { loraPlusLrRatio: 16, neftuneNoiseAlpha: 5, labelSmoothingFactor: 0.1, lossType: 'dft' },
    ],
    [
      'accumulation, checkpointing, fp16',
      { gradientAccumulationSteps: 3, gradientCheckpointing: true, fp16: true, loggingSteps: 4 },
    ],
  ]
  for (const [name, args, options] of cases)
    it(name, async () => {
      const whole = tinyTrainer({ outputDir: join(outputDir, 'whole'), ...args }, options).trainer
      const { logs } = await whole.train()
      // Stopped in the middle of a window and of an epoch.
      const stopping = tinyTrainer(
        { outputDir, ...args },
        { ...options, callbacks: [{ onStepBegin: ({ step }) => void (step === 8 && first.interrupt()) }] },
      )
      const first = stopping.trainer
      const { ended, interruptedBy, lastCheckpoint } = await first.train()
      expect({ ended, interruptedBy }).toEqual({ ended: 'interrupted', interruptedBy: 'request' })
      expect(lastCheckpoint).toMatch(/checkpoint-[78]$/)
      const second = tinyTrainer({ outputDir, ...args, resumeFromCheckpoint: true }, options).trainer
      const resumed = await second.train()
      expect(weightsOf(second)).toEqual(weightsOf(whole))
      const losses = (logged: typeof logs) => logged.map(({ step, loss, numTokens }) => ({ step, loss, numTokens }))
      expect(losses(resumed.logs)).toEqual(losses(logs))
    })

  it.each<[string, Args, Args, number]>([
    ['a larger batch', {}, { perDeviceTrainBatchSize: 8 }, 3],
    ['a smaller batch', {}, { perDeviceTrainBatchSize: 2 }, 6],
    ['a batch that does not divide what is left', {}, { perDeviceTrainBatchSize: 3 }, 5],
    ['more accumulation', {}, { gradientAccumulationSteps: 2 }, 3],
    [
      'less accumulation',
      { gradientAccumulationSteps: 2, perDeviceTrainBatchSize: 2 },
      { gradientAccumulationSteps: 1 },
      6,
    ],
    ['two epochs and a larger batch', { numTrainEpochs: 2 }, { perDeviceTrainBatchSize: 8 }, 5],
  ])('with %s it goes on with exactly the rows not yet seen', async (_, before, after, steps) => {
    const examples = Array.from({ length: 16 }, (_, i) => {
      const inputIds = Array.from({ length: 5 + i }, (_, t) => 2 + i + t)
      return { inputIds, labels: inputIds }
    })
    const args = { outputDir, maxSteps: -1, numTrainEpochs: 1, saveStrategy: 'steps', saveSteps: 2, ...before } as const
    const tokens = examples.reduce((sum, { inputIds }) => sum + inputIds.length, 0) * args.numTrainEpochs
    const stopAfterTwo = { onStepEnd: ({ step }: { step: number }) => void (step === 2 && first.interrupt()) }
    const first = tinyTrainer(args, { trainDataset: examples, callbacks: [stopAfterTwo] }).trainer
    await first.train()
    const resumed = tinyTrainer({ ...args, ...after, resumeFromCheckpoint: true }, { trainDataset: examples }).trainer
    const result = await resumed.train()
    expect(result).toMatchObject({ ended: 'finished', steps })
    // Each row has a length of its own, so that another row or one more would show.
    expect(result.logs.at(-1)!.numTokens).toBe(tokens)
    expect(result.logs.at(-1)!.epoch).toBe(args.numTrainEpochs)
  })

  it('when it was interrupted in an evaluation, which is then made again', async () => {
    // With a metric that falls, the evaluation that is interrupted is the best one.
    const best: Args = { loadBestModelAtEnd: true, metricForBestModel: 'loss', greaterIsBetter: true }
    const args: Args = { evalStrategy: 'steps', evalSteps: 8, perDeviceEvalBatchSize: 2, ...best }
    const whole = tinyTrainer({ outputDir: join(outputDir, 'whole'), ...args }).trainer
    const { evals, bestCheckpoint } = await whole.train()
    expect(bestCheckpoint).toMatch(/checkpoint-8$/)
    const interrupt = {
      onLog: ({ step }: { step: number }) => void (step === 8 && setImmediate(() => trainer.interrupt())),
    }
    const { trainer } = tinyTrainer({ outputDir, ...args }, { callbacks: [interrupt] })
    const first = await trainer.train()
    expect(first.ended).toBe('interrupted')
    expect(first.evals).toEqual([])
    const second = tinyTrainer({ outputDir, ...args, resumeFromCheckpoint: true }).trainer
    const resumed = await second.train()
    expect(resumed.evals.map(({ step, evalLoss }) => [step, evalLoss])).toEqual(
      evals.map(({ step, evalLoss }) => [step, evalLoss]),
    )
    expect(resumed.bestCheckpoint).toBe(join(outputDir, 'checkpoint-8'))
    expect(weightsOf(second)).toEqual(weightsOf(whole))
  })

  it('and a finished or early-stopped one stays so', async () => {
    const { trainer } = tinyTrainer({ outputDir, saveStrategy: 'steps', saveSteps: 5 })
    await trainer.train()
    const again = tinyTrainer({ outputDir, resumeFromCheckpoint: true }).trainer
    expect(await again.train()).toMatchObject({ ended: 'finished', steps: 12 })
    expect(weightsOf(again)).toEqual(weightsOf(trainer))
    const longer = await tinyTrainer({ outputDir, resumeFromCheckpoint: true, maxSteps: 14 }).trainer.train()
    expect(longer).toMatchObject({ ended: 'finished', steps: 14 })

    const stop: [Args, Partial<SFTTrainerOptions>] = [
      { evalStrategy: 'steps', evalSteps: 2, saveStrategy: 'steps', saveSteps: 2, greaterIsBetter: true },
      { callbacks: [earlyStopping({ patience: 2 })] },
    ]
    const other = join(outputDir, 'early')
    const early = await tinyTrainer({ outputDir: other, ...stop[0] }, stop[1]).trainer.train()
    expect(early.ended).toBe('stopped')
    expect(early.steps).toBeLessThan(12)
    const after = tinyTrainer({ outputDir: other, ...stop[0], resumeFromCheckpoint: true }, stop[1]).trainer
    expect(await after.train()).toMatchObject({ ended: 'stopped', steps: early.steps })
  })
})

describe('resuming', () => {
  it('starts anew where there is nothing, and says so', async () => {
    const { trainer, notices } = tinyTrainer({ outputDir, maxSteps: 1, resumeFromCheckpoint: true })
    await trainer.train()
    expect(notices.map(({ message }) => message).join()).toContain('training starts anew')
  })

  it('is refused with other data or another adapter, and says which settings changed', async () => {
    await tinyTrainer({ outputDir, saveStrategy: 'steps', saveSteps: 6 }).trainer.train()
    const resume = { outputDir, resumeFromCheckpoint: true }
    const otherData = tinyTrainer(resume, { trainDataset: countingExamples(40, 99) })
    await expect(otherData.trainer.train()).rejects.toMatchObject({ code: 'incompatible' })
    const otherRank = tinyTrainer(resume, { peftConfig: { r: 2, targetModules: 'all-linear' } })
    await expect(otherRank.trainer.train()).rejects.toMatchObject({ code: 'incompatible' })
    const otherOptimizer = tinyTrainer({ ...resume, optim: 'lion' })
    await expect(otherOptimizer.trainer.train()).rejects.toMatchObject({ code: 'incompatible' })
    const slower = tinyTrainer({ ...resume, saveStrategy: 'steps', saveSteps: 6, learningRate: 1e-4, maxSteps: 13 })
    await slower.trainer.train()
    const [changed] = slower.notices.filter(({ level }) => level === 'warning')
    expect(changed!.message).toBe(
      'settings changed since the checkpoint: maxSteps 12 to 13, learningRate 0.005 to 0.0001',
    )
  })

  it('from a named folder; not from what is no checkpoint', async () => {
    await tinyTrainer({ outputDir, saveStrategy: 'steps', saveSteps: 5 }).trainer.train()
    const named = tinyTrainer({ outputDir: join(outputDir, 'on') }).trainer
    const result = await named.train({ resumeFromCheckpoint: join(outputDir, 'checkpoint-5') })
    expect(result.steps).toBe(12)
    const folder = join(outputDir, 'nothing')
    await expect(tinyTrainer({ outputDir, resumeFromCheckpoint: folder }).trainer.train()).rejects.toMatchObject({
      code: 'not_found',
    })
    await writeFile(join(outputDir, 'checkpoint-5', 'checkpoint.json'), '{}')
    const broken = tinyTrainer({ outputDir, resumeFromCheckpoint: join(outputDir, 'checkpoint-5') }).trainer
    await expect(broken.train()).rejects.toMatchObject({ code: 'invalid_file' })
  })

  it('a new run in the same folder says that earlier checkpoints are there, and later resumes its own', async () => {
    await tinyTrainer({ outputDir, saveStrategy: 'steps', saveSteps: 6 }).trainer.train()
    const anew = tinyTrainer({ outputDir, seed: 1, saveStrategy: 'steps', saveSteps: 4, maxSteps: 4 })
    await anew.trainer.train()
    expect(anew.notices[0]!.message).toContain('checkpoints of an earlier run up to step 12')
    expect((await readdir(outputDir)).sort()).toEqual(['checkpoint-12', 'checkpoint-4', 'checkpoint-6'])
    const resumed = tinyTrainer({ outputDir, seed: 1, saveStrategy: 'steps', maxSteps: 5, resumeFromCheckpoint: true })
    await resumed.trainer.train()
    expect(resumed.notices[0]!.message).toContain('checkpoint-4, step 4')
  })
})
