import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import * as tf from '@tensorflow/tfjs-core'
import { selectBackend } from '@tunesmith/backend'
import { type CausalLM, loadModel } from '@tunesmith/models'
import type { Notice, TrainLog } from '@tunesmith/sft-trainer'
import { Tokenizer } from '@tunesmith/tokenization'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type DPOConfigOptions, DPOTrainer, dpoConfig, type KTOConfigOptions, KTOTrainer, ktoConfig } from './index'
import { watchRewards } from './watch'

const BASE = fileURLToPath(new URL('../../models/src/fixtures/llama', import.meta.url))
const LORA = { r: 2, targetModules: ['q_proj'] }
const pair = { prompt: 'the patient reports ', chosen: 'mild pain', rejected: 'severe fever' }

let output: string
let tokenizer: Tokenizer
beforeAll(async () => {
  await selectBackend()
  output = await mkdtemp(join(tmpdir(), 'tunesmith-preference-input-'))
  tokenizer = await Tokenizer.fromPretrained(fileURLToPath(new URL('./fixtures/tokenizer', import.meta.url)))
})
afterAll(() => rm(output, { recursive: true, force: true }))

async function train(rows: object[], args: Partial<DPOConfigOptions> = {}) {
  const notices: Notice[] = []
  const trainer = new DPOTrainer({
    model: await loadModel(BASE),
    tokenizer,
    trainDataset: rows as never,
    peftConfig: LORA,
    args: { outputDir: output, maxSteps: 1, maxLength: 12, saveStrategy: 'no', reportTo: [], ...args },
    callbacks: [{ onNotice: (notice) => void notices.push(notice) }],
  })
  try {
    const { logs } = await trainer.train()
    return { logs, notices }
  } finally {
    trainer.model.dispose()
  }
}

describe('rows', () => {
  it('without a side, with equal or two empty sides are refused by their number', async () => {
    await expect(train([pair, { prompt: 'a', chosen: 'b' }])).rejects.toThrow(/no "rejected".*row 1/)
    await expect(train([pair, { ...pair, rejected: pair.chosen }])).rejects.toThrow(/are the same.*row 1/)
    await expect(train([{ ...pair, chosen: '', rejected: '' }])).rejects.toThrow(/Both answers are empty.*row 0/)
    await expect(train([{ inputIds: [1], labels: [1] }])).rejects.toThrow(/are tokenized.*DPOTrainer/)
  })

  it('that are cut, equal after that, empty or left out are counted and said', async () => {
    const long = 'the patient reports mild pain in the left knee and the right arm '
    const { notices } = await train([
      pair,
      { ...pair, rejected: '' },
      { prompt: 'the ', chosen: `${long}${long}knee`, rejected: `${long}${long}arm` },
      { ...pair, prompt: long },
    ])
    expect(notices.find(({ message }) => message.startsWith('of 4 pairs'))).toMatchObject({
      level: 'warning',
      message:
        'of 4 pairs: 1 pair left out, whose prompt fills 12 tokens; 1 pair cut to 12 tokens; 1 pair with equal sides after that; 1 pair with an empty side',
    })
    await expect(train([{ ...pair, prompt: long }])).rejects.toThrow(/No row is left to train on/)
  })
})

describe('options', () => {
  const dpo = (args: Partial<DPOConfigOptions>) => () => dpoConfig({ outputDir: 'x', ...args })
  it.each([
    [{ lossType: 'sigmoyd' }, /lossType.*sigmoid/s],
    [{ lossType: ['sigmoid', 'sft'], lossWeights: [1] }, /1 weights for 2 losses/],
    [{ lossType: 'aot', useWeighting: true }, /sorts the batch/],
    [{ lossType: 'exo_pair' }, /needs some label smoothing/],
    [{ lossType: 'robust', labelSmoothing: 0.5 }, /half of the labels/],
    [{ lossType: 'bco_pair', fDivergenceType: 'forward_kl' }, /"bco_pair" is not defined with forward_kl/],
    [{ lossType: 'orpo', ldAlpha: 0.5 }, /"orpo" does not know ldAlpha/],
    [{ beta: 0 }, /beta/],
    [{ packing: true }, /packing/],
  ])('%o is refused', (args, message) => {
    expect(dpo(args as never)).toThrow(message)
  })

  it('of KTO: a batch of one and another order are refused, but where no KL is estimated', () => {
    const kto = (args: Partial<KTOConfigOptions>) => () => ktoConfig({ outputDir: 'x', ...args })
    expect(kto({ perDeviceTrainBatchSize: 1 })).toThrow(/a batch has one row/)
    expect(kto({ trainSamplingStrategy: 'random' })).toThrow(/neighbours/)
    const free = { lossType: 'apo_zero_unpaired', perDeviceTrainBatchSize: 1, trainSamplingStrategy: 'random' } as const
    expect(kto(free)).not.toThrow()
  })

  it('a reference that is the model, or none, is refused', async () => {
    const model = await loadModel(BASE)
    const options = { model, tokenizer, trainDataset: [pair], args: { outputDir: output } }
    expect(() => new DPOTrainer({ ...options, refModel: model })).toThrow(/is the model that learns/)
    expect(() => new DPOTrainer({ ...options, refModel: 'owner/name' as never })).toThrow(
      /no model to be the reference/,
    )
    model.dispose()
  })

  it('a reference that says NaN ends training before the first step, and nothing is saved of it', async () => {
    const model = await loadModel(BASE)
    const nan = ({ inputIds }: { inputIds: ArrayLike<number> }) => ({
      logProbs: tf.fill([inputIds.length], Number.NaN),
    })
    const refModel = Object.create(model, { tokenLogProbs: { value: nan } }) as CausalLM
    const outputDir = join(output, 'nan')
    const args = { outputDir, maxSteps: 1, reportTo: [] }
    const rows = { tokenizer, trainDataset: [pair], peftConfig: LORA }
    const trainer = new DPOTrainer({ model, refModel, ...rows, args })
    await expect(trainer.train()).rejects.toThrow(/log-probability NaN.*row 0/)
    expect((await readdir(outputDir)).filter((name) => name.startsWith('reference'))).toEqual([])
    model.dispose()
  })

  it('KTO says what to do about more answers of one kind', async () => {
    const notices: Notice[] = []
    const rows = [1, 2, 3, 4].map((n) => ({ prompt: 'the ', completion: 'knee', label: n < 4 }))
    const trainer = new KTOTrainer({
      model: await loadModel(BASE),
      tokenizer,
      trainDataset: rows,
      peftConfig: LORA,
      args: { outputDir: output, maxSteps: 1, saveStrategy: 'no', reportTo: [] },
      callbacks: [{ onNotice: (notice) => void notices.push(notice) }],
    })
    await trainer.train()
    expect(notices.map(({ message }) => message).join()).toMatch(
      /3 answers to learn and 1 to avoid: set desirableWeight to 0.33/,
    )
    trainer.model.dispose()
  })
})

describe('what is watched while training', () => {
  const logs = (reward: (step: number) => number, accuracy: (step: number) => number) =>
    Array.from({ length: 30 }, (_, i) => {
      const step = 10 * (i + 1)
      return { step, 'rewards/chosen': reward(step), 'rewards/accuracies': accuracy(step) } as unknown as TrainLog
    })
  const said = (all: readonly TrainLog[]) => all.flatMap((_, i) => watchRewards(all.slice(0, i + 1)) ?? [])

  it('says once that the reward of the chosen answers falls, or that every pair is told apart', () => {
    expect(
      said(
        logs(
          (step) => -step / 100 + 0.05 * (step % 20),
          () => 0.8,
        ),
      ),
    ).toEqual([expect.stringMatching(/has fallen/)])
    expect(
      said(
        logs(
          () => 1,
          (step) => (step < 50 ? 0.9 : 1),
        ),
      ),
    ).toEqual([expect.stringMatching(/told apart/)])
    expect(
      said(
        logs(
          (step) => step,
          () => 0.9,
        ),
      ),
    ).toEqual([])
  })
})
