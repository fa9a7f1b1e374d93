import { execFileSync } from 'node:child_process'
import { mkdir, mkdtemp, readdir, readFile, rm, truncate, unlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { selectBackend } from '@tunesmith/backend'
import { createModel } from '@tunesmith/models'
import { loadPeftModel } from '@tunesmith/peft-lora'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { SFTTrainerOptions } from '../index'
import { TINY_MODEL } from '../testing/counting-task'
import { tinyTrainer, weightsOf } from '../testing/tiny-trainer'
import { newestWholeCheckpoint } from './find'

let root: string
let outputDir: string
let count = 0
beforeAll(async () => {
  await selectBackend()
  root = await mkdtemp(join(tmpdir(), 'tunesmith-checkpoints-'))
})
beforeEach(() => {
  outputDir = join(root, `run-${count++}`)
})
afterAll(() => rm(root, { recursive: true }))

const every = (saveSteps: number) => ({ saveStrategy: 'steps' as const, saveSteps })
const names = async (folder: string) =>
  (await readdir(folder))
    .filter((name) => name.includes('checkpoint'))
    .sort((a, b) => Number(a.split('-')[1]) - Number(b.split('-')[1]))

describe('a checkpoint', () => {
  it('is an adapter that loads as one, with optimizer, state in transformers’ form, and digests', async () => {
    const { trainer } = tinyTrainer({ outputDir, ...every(12) })
    await trainer.train()
    const folder = join(outputDir, 'checkpoint-12')
    expect((await readdir(folder)).sort()).toEqual([
      'adapter_config.json',
      'adapter_model.safetensors',
      'checkpoint.json',
      'optimizer.safetensors',
      'trainer_state.json',
      'training_args.json',
    ])
    const state = JSON.parse(await readFile(join(folder, 'trainer_state.json'), 'utf8'))
    expect(state).toMatchObject({ global_step: 12, max_steps: 12, epoch: 1.2, best_metric: null })
    expect(state.log_history[2]).toMatchObject({
      step: 3,
      learning_rate: expect.any(Number),
      grad_norm: expect.any(Number),
    })
    const peft = await loadPeftModel(createModel(TINY_MODEL, { seed: 3 }), folder)
    for (const [name, variable] of peft.parameters())
      expect(Array.from(variable.dataSync())).toEqual(weightsOf(trainer).get(name))
  })

  it('that is damaged in any way is passed over and named; half-written ones are removed', async () => {
    await tinyTrainer({ outputDir, ...every(2) }).trainer.train()
    const at = (step: number, file: string) => join(outputDir, `checkpoint-${step}`, file)
    const bytes = await readFile(at(12, 'adapter_model.safetensors'))
    bytes[bytes.length - 3]! ^= 1
    await writeFile(at(12, 'adapter_model.safetensors'), bytes)
    await truncate(at(10, 'optimizer.safetensors'), 100)
    await unlink(at(8, 'trainer_state.json'))
    await unlink(at(6, 'checkpoint.json'))
    await mkdir(join(outputDir, '.checkpoint-14.abc.tmp'))
    const { checkpoint, problems } = await newestWholeCheckpoint(outputDir)
    expect(checkpoint?.step).toBe(4)
    expect(problems.map((line) => line.replace(/\(.*\)/, ''))).toEqual([
      expect.stringMatching(/^checkpoint-6 was ignored: it has no readable checkpoint.json/),
      expect.stringMatching(/^checkpoint-12 was ignored: .* was changed after it was saved/),
      expect.stringMatching(/^checkpoint-10 was ignored: .* has 100 bytes instead of \d+/),
      expect.stringMatching(/^checkpoint-8 was ignored: .* is missing/),
    ])
    const { trainer, notices } = tinyTrainer({ outputDir, ...every(2), resumeFromCheckpoint: true })
    expect((await trainer.train()).steps).toBe(12)
    const said = notices.map(({ message }) => message)
    expect(said[0]).toBe('.checkpoint-14.abc.tmp was half-written when its process ended; it was removed')
    expect(said.filter((message) => message.includes('was ignored')).length).toBe(4)
    expect(said.find((message) => message.startsWith('resuming'))).toMatch(/checkpoint-4, step 4$/)
    expect((await newestWholeCheckpoint(outputDir)).checkpoint?.step).toBe(12)
  })
})

describe('which checkpoints stay', () => {
  const evaluated = { evalStrategy: 'steps', evalSteps: 2, ...every(2) } satisfies Partial<SFTTrainerOptions['args']>

  it('the newest, up to saveTotalLimit, and the best whatever its age', async () => {
    await tinyTrainer({ outputDir, ...every(2), saveTotalLimit: 2 }).trainer.train()
    expect(await names(outputDir)).toEqual(['checkpoint-10', 'checkpoint-12'])
    // Where the highest loss counts as the best, the first evaluations are.
    const other = join(outputDir, 'worse')
    const { trainer } = tinyTrainer({
      outputDir: other,
      ...evaluated,
      saveTotalLimit: 1,
      greaterIsBetter: true,
      loadBestModelAtEnd: true,
    })
    const { evals, bestCheckpoint, lastCheckpoint } = await trainer.train()
    const best = evals.reduce((a, b) => (b.evalLoss > a.evalLoss ? b : a))
    expect(best.step).toBeLessThan(12)
    expect(bestCheckpoint).toBe(join(other, `checkpoint-${best.step}`))
    expect(lastCheckpoint).toBe(join(other, 'checkpoint-12'))
    expect(await names(other)).toEqual([`checkpoint-${best.step}`, 'checkpoint-12'])
    // The weights are the best ones again.
    expect((await trainer.evaluate()).evalLoss).toBe(best.evalLoss)
  })

  it('with saveStrategy "best" only those that were better than all before; with "epoch" one for each', async () => {
    const { evals } = await tinyTrainer({ outputDir, ...evaluated, saveStrategy: 'best' }).trainer.train()
    let least = Number.POSITIVE_INFINITY
    const better = evals.filter(({ evalLoss }) => {
      const improved = evalLoss < least
      least = Math.min(least, evalLoss)
      return improved
    })
    expect(await names(outputDir)).toEqual(better.map(({ step }) => `checkpoint-${step}`))
    const other = join(outputDir, 'epochs')
    await tinyTrainer({ outputDir: other, saveStrategy: 'epoch', maxSteps: -1, numTrainEpochs: 2 }).trainer.train()
    expect(await names(other)).toEqual(['checkpoint-10', 'checkpoint-20'])
  })
})

describe('a full disk', () => {
  const failing = {
    save: (folder: string) => writeFile('/dev/full', folder),
    endOfTurn: () => ({ tokens: [], ids: [] }),
  } as never

  it('is reported, costs nothing that was saved, and training goes on', async () => {
    const constant = { lrSchedulerType: 'constant' } as const
    const whole = tinyTrainer({ outputDir: join(outputDir, 'whole'), ...constant }).trainer
    await whole.train()
    await tinyTrainer({ outputDir, ...every(4), ...constant, maxSteps: 4 }).trainer.train()
    const { trainer, notices } = tinyTrainer(
      { outputDir, ...every(4), ...constant, resumeFromCheckpoint: true },
      { tokenizer: failing },
    )
    const { lastCheckpoint } = await trainer.train()
    const said = notices.filter(({ message }) => message.includes('could not be saved'))
    expect(said.map(({ message }) => message)).toEqual([
      expect.stringMatching(
        /^checkpoint-8 could not be saved, checkpoint-4 is kept, training goes on: .*no space left/i,
      ),
      expect.stringMatching(/^checkpoint-12 could not be saved, checkpoint-4 is kept/),
    ])
    expect(lastCheckpoint).toBe(join(outputDir, 'checkpoint-4'))
    expect(await readdir(outputDir)).toEqual(expect.arrayContaining(['checkpoint-4']))
    expect((await readdir(outputDir)).filter((name) => name.startsWith('.'))).toEqual([])
    expect((await newestWholeCheckpoint(outputDir)).checkpoint?.step).toBe(4)
    expect(weightsOf(trainer)).toEqual(weightsOf(whole))
  })

  it('a real one: a small tmpfs that fills up', async (context) => {
    await mkdir(outputDir, { recursive: true })
    try {
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=600k', 'tmpfs', outputDir], { stdio: 'pipe' })
    } catch (error) {
      const reason = `a tmpfs cannot be mounted here: ${(error as Error).message.split('\n')[0]}`
      console.warn(`skipped: ${reason}`)
      context.skip(reason)
      return
    }
    try {
      const fill: SFTTrainerOptions['callbacks'] = [
        {
          // After the second checkpoint something else takes the rest of the disk.
          onSave: async ({ step }) =>
            void (step === 6 && (await writeFile(join(outputDir, 'other'), Buffer.alloc(2 ** 20)).catch(() => {}))),
        },
      ]
      const { trainer, notices } = tinyTrainer({ outputDir, ...every(3), reportTo: ['jsonl'] }, { callbacks: fill })
      const { lastCheckpoint } = await trainer.train()
      expect(lastCheckpoint).toBe(join(outputDir, 'checkpoint-6'))
      expect(notices.filter(({ message }) => message.includes('could not be saved')).length).toBe(2)
      expect(await names(outputDir)).toEqual(['checkpoint-3', 'checkpoint-6'])
      // With room again, the run goes on from there and ends as it would have.
      await unlink(join(outputDir, 'other'))
      await rm(join(outputDir, 'checkpoint-3'), { recursive: true })
      const resumed = tinyTrainer({ outputDir, ...every(6), resumeFromCheckpoint: true }).trainer
      await resumed.train()
      expect(await names(outputDir)).toEqual(['checkpoint-6', 'checkpoint-12'])
      expect(weightsOf(resumed)).toEqual(weightsOf(trainer))
    } finally {
      execFileSync('umount', [outputDir])
    }
  })
})
