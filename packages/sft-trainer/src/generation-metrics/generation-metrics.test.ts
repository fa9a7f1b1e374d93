import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as tf from '@tensorflow/tfjs-core'
import { selectBackend } from '@tunesmith/backend'
import { Dataset } from '@tunesmith/datasets'
import { createModel, generateText } from '@tunesmith/models'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type SFTConfigOptions, sftConfig } from '../config'
import { SFTTrainer, type SFTTrainerOptions } from '../index'
import { LETTER_MODEL, letterChats, letterDataset, letterTokenizer } from '../testing/letter-task'
import { type ComputeMetricsInput, createGenerationMetrics, type GenerationMetricsOptions } from './generation-metrics'

const tokenizer = letterTokenizer()
let folder: string
let trained: SFTTrainer
beforeAll(async () => {
  await selectBackend()
  folder = await mkdtemp(join(tmpdir(), 'tunesmith-'))
  trained = new SFTTrainer({
    model: createModel(LETTER_MODEL, { seed: 1 }),
    tokenizer,
    trainDataset: letterDataset(),
    args: {
      outputDir: folder,
      learningRate: 1e-2,
      perDeviceTrainBatchSize: 20,
      maxSteps: 60,
      reportTo: [],
      saveStrategy: 'no',
    },
  })
  await trained.train()
})
afterAll(() => rm(folder, { recursive: true }))

function metrics(args: Partial<SFTConfigOptions> = {}, rest: Partial<GenerationMetricsOptions> = {}) {
  const config = sftConfig({ outputDir: folder, generationMaxNewTokens: 12, ...args })
  return createGenerationMetrics({ dataset: letterDataset(), tokenizer, config, ...rest })
}

describe('createGenerationMetrics', () => {
  it('scores the answers of a model that learned, and of one that did not', async () => {
    const before = tf.memory().numTensors
    const good = (await metrics().run(trained.model, { step: 60 }))!
    expect(good.metrics.evalExactMatch).toBeGreaterThan(0.9)
    expect(good.metrics.evalRougeL).toBeGreaterThan(0.95)
    expect(good.metrics.evalBleu).toBeGreaterThan(95)
    // Five letters, four spaces, and the end.
    expect(good.metrics.evalGenLen).toBeCloseTo(10, 0)
    expect(tf.memory().numTensors).toBe(before)
    const model = createModel(LETTER_MODEL, { seed: 2 })
    const bad = (await metrics().run(model, { step: 0 }))!
    expect(bad.metrics.evalExactMatch).toBe(0)
    expect(bad.metrics.evalRougeL).toBeLessThan(0.7)
    model.dispose()
  })

  it('answers each prompt as if it were alone, whatever the batches, and writes the table', async () => {
    const alone = (await metrics({ generationBatchSize: 1 }).run(trained.model, { step: 1 }))!
    const together = (await metrics({ generationBatchSize: 64 }).run(trained.model, { step: 2 }))!
    const tight = (await metrics({ generationTokenBudget: 40 }).run(trained.model, { step: 3 }))!
    expect(together).toEqual(alone)
    expect(tight).toEqual(alone)
    const [text] = await generateText(trained.model, tokenizer, [alone.samples[4]!.prompt], { maxNewTokens: 12 })
    expect(alone.samples[4]!.prediction).toBe(text!.text.trim())
    const lines = (await readFile(join(folder, 'generations', 'step-2.jsonl'), 'utf8')).trimEnd().split('\n')
    expect(lines.map((line) => JSON.parse(line))).toEqual(together.samples)
  })

  it('draws the sample by seed, and keeps it', async () => {
    const prompts = async (args: Partial<SFTConfigOptions>) => {
      const made = metrics({ generationSampleSize: 5, ...args })
      const runs = [(await made.run(trained.model, { step: 1 }))!, (await made.run(trained.model, { step: 2 }))!]
      const [first, second] = runs.map(({ samples }) => samples.map(({ prompt }) => prompt))
      expect(second).toEqual(first)
      return first
    }
    expect(await prompts({ seed: 1 })).toHaveLength(5)
    expect(await prompts({ seed: 1 })).toEqual(await prompts({ seed: 1 }))
    expect(await prompts({ seed: 2 })).not.toEqual(await prompts({ seed: 1 }))
  })

  it('asks with the chat template where rows are conversations', async () => {
    const { samples } = (await metrics({ generationSampleSize: 64 }, { dataset: letterChats() }).run(trained.model, {
      step: 1,
    }))!
    expect(samples).toHaveLength(20)
    expect(samples[0]).toMatchObject({ prompt: '<user>a:<eos><bot>', reference: 'b c d e f' })
  })

  it("logs the user's own metrics, which see the whole rows", async () => {
    let seen: ComputeMetricsInput | undefined
    const { metrics: logged } = (await metrics(
      { generationSampleSize: 3, generationMetrics: [] },
      {
        computeMetrics(input) {
          seen = input
          return { first_letter: 0.5, evalOther: 2 }
        },
      },
    ).run(trained.model, { step: 1 }))!
    expect(logged).toMatchObject({ evalFirstLetter: 0.5, evalOther: 2 })
    expect(logged).not.toHaveProperty('evalBleu')
    expect(seen!.rows.map(({ completion }) => completion)).toEqual(seen!.references)
    expect(seen!.rows[0]).toHaveProperty('start')
    const wrong = metrics({}, { computeMetrics: () => ({ name: 'good' }) as never })
    await expect(wrong.run(trained.model, { step: 1 })).rejects.toThrow('computeMetrics returned string for "name"')
  })

  it('ends between batches when asked, and survives a disk that refuses', async () => {
    let asked = 0
    const made = metrics({ generationBatchSize: 5 })
    expect(await made.run(trained.model, { step: 1, stopped: () => ++asked > 2 })).toBeUndefined()
    expect(asked).toBe(3)
    const file = join(folder, 'a-file')
    await writeFile(file, '')
    const refused = (await metrics({ outputDir: file }).run(trained.model, { step: 1 }))!
    expect(refused.notice).toContain('could not be written')
    expect(refused.metrics.evalExactMatch).toBeGreaterThan(0.9)
  })

  it('says so when there is nothing to ask', async () => {
    const texts = Dataset.fromRows([{ text: 'a b c' }, { text: 'd e f' }])
    await expect(metrics({}, { dataset: texts }).run(trained.model, { step: 1 })).rejects.toMatchObject({
      code: 'invalid_data',
    })
    // The context has 48 tokens.
    await expect(metrics({ generationMaxNewTokens: 47 }).run(trained.model, { step: 1 })).rejects.toThrow(
      'at most 1 tokens',
    )
  })
})

describe('SFTTrainer', () => {
  const trainer = (args: Partial<SFTConfigOptions>, options: Partial<SFTTrainerOptions> = {}) =>
    new SFTTrainer({
      model: createModel(LETTER_MODEL, { seed: 1 }),
      tokenizer,
      trainDataset: letterDataset(),
      evalDataset: letterDataset(),
      args: {
        outputDir: folder,
        learningRate: 1e-2,
        perDeviceTrainBatchSize: 20,
        maxSteps: 4,
        generationMaxNewTokens: 12,
        generationSampleSize: 6,
        evalStrategy: 'steps',
        evalSteps: 2,
        reportTo: [],
        saveStrategy: 'no',
        predictWithGenerate: true,
        neftuneNoiseAlpha: 5,
        ...args,
      },
      ...options,
    })

  it('logs generation metrics with each evaluation, without a trace in the training', async () => {
    const losses: number[][] = []
    const tensors: number[] = []
    for (const predictWithGenerate of [true, false]) {
      const made = trainer(
        { predictWithGenerate, loggingSteps: 1 },
        { callbacks: [{ onEvaluate: () => void tensors.push(tf.memory().numTensors) }] },
      )
      const { logs, evals } = await made.train()
      losses.push(logs.map(({ loss }) => loss))
      expect(evals.map(({ step }) => step)).toEqual([2, 4])
      for (const log of evals) expect('evalRougeL' in log).toBe(predictWithGenerate)
      expect(await made.evaluate()).toMatchObject({ ...evals[1], evalRuntime: expect.anything() })
    }
    expect(losses[0]).toEqual(losses[1])
    expect(tensors[1]).toBe(tensors[0])
    expect(await readFile(join(folder, 'generations', 'step-4.jsonl'), 'utf8')).toContain('"prediction"')
  })

  it('asks for answers when there is a computeMetrics, and refuses rows without text', async () => {
    const { evals } = await trainer({ predictWithGenerate: false }, { computeMetrics: () => ({ mine: 0.25 }) }).train()
    expect(evals[0]).toMatchObject({ evalMine: 0.25 })
    const evalDataset = [{ inputIds: [1, 2, 3], labels: [1, 2, 3] }]
    expect(() => trainer({}, { evalDataset })).toThrow('need rows of text and a tokenizer')
  })
})
