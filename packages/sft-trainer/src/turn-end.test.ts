import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { selectBackend } from '@tunesmith/backend'
import { Dataset } from '@tunesmith/datasets'
import { createModel, generateText } from '@tunesmith/models'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { SFTTrainer, type SFTTrainerOptions } from './index'
import { LETTER_MODEL, letterRows, letterTokenizer } from './testing/letter-task'

let folder: string
beforeAll(async () => {
  await selectBackend()
  folder = await mkdtemp(join(tmpdir(), 'tunesmith-'))
})
afterAll(() => rm(folder, { recursive: true }))

const chats = () =>
  Dataset.fromRows(
    letterRows().map(({ prompt, completion }) => ({
      prompt: [{ role: 'user', content: prompt }],
      completion: [{ role: 'assistant', content: completion }],
    })),
  )

/** Turns end with <user>, the EOS token is <eos>. */
function trainer(args: Partial<SFTTrainerOptions['args']>, rest: Partial<SFTTrainerOptions> = {}) {
  const tokenizer = letterTokenizer()
  tokenizer.chatTemplate =
    "{% for m in messages %}{{ m.content }}{{ '<bot>' if m.role == 'user' else '<user>' }}{% endfor %}"
  const said: string[] = []
  const made = new SFTTrainer({
    model: createModel(LETTER_MODEL, { seed: 1 }),
    tokenizer,
    trainDataset: chats(),
    args: {
      ...{ outputDir: folder, learningRate: 1e-2, perDeviceTrainBatchSize: 20, maxSteps: 60 },
      ...{ reportTo: [], saveStrategy: 'no', ...args },
    },
    callbacks: [{ onNotice: ({ message }) => void said.push(message) }],
    ...rest,
  })
  return { made, tokenizer, said }
}
const json = async (...path: string[]) => JSON.parse(await readFile(join(folder, ...path), 'utf8'))

it('answers of a model that learned to end turns with another token than EOS end there', async () => {
  const { made, tokenizer, said } = trainer(
    {
      ...{ predictWithGenerate: true, evalStrategy: 'steps', evalSteps: 60, generationMaxNewTokens: 20 },
    },
    { evalDataset: chats() },
  )
  const { evals } = await made.train()
  expect(said.join('\n')).toContain(
    "the chat template ends a turn with <user>, the tokenizer's EOS token is <eos>: answers end at any of them",
  )
  // Five letters, four spaces, and the end; not the 20 tokens there is room for.
  expect(evals[0]).toMatchObject({ evalGenLen: expect.closeTo(10, 0) })
  const prompt = tokenizer.applyChatTemplate([{ role: 'user', content: 'c:' }])
  const [answer] = await generateText(made.model, tokenizer, [prompt], { maxNewTokens: 20 })
  expect(answer!.finish).toBe('stop')
  expect(answer!.tokens.indexOf(1)).toBe(answer!.tokens.length - 1)
  const [endless] = await generateText(made.model, tokenizer, [prompt], { maxNewTokens: 20, stopTokenIds: [0] })
  expect(endless!.tokens.length).toBeGreaterThan(answer!.tokens.length)

  await made.saveModel(join(folder, 'whole'))
  expect((await json('whole', 'generation_config.json')).eos_token_id).toEqual([0, 1])
})

it('an adapter and its checkpoints are saved with what ends a turn; of rows without turns nothing is said', async () => {
  const { made } = trainer(
    { maxSteps: 1, saveStrategy: 'steps', saveSteps: 1 },
    { peftConfig: { r: 2, targetModules: 'all-linear' } },
  )
  await made.train()
  await made.saveModel(join(folder, 'adapter'))
  for (const name of ['adapter', 'checkpoint-1']) {
    expect((await json(name, 'generation_config.json')).eos_token_id).toEqual([0, 1])
    expect((await json(name, 'adapter_config.json')).r).toBe(2)
  }
  const examples = [{ inputIds: [3, 4, 5], labels: [-100, 4, 5] }]
  const plain = trainer({ maxSteps: 1 }, { trainDataset: examples })
  await plain.made.train()
  expect(plain.said.join('\n')).not.toContain('ends a turn')
})

it('tokenized rows with labels that are none are refused by their row', async () => {
  const trainDataset = [
    { inputIds: [3, 4, 5], labels: [-100, 4, 5] },
    { inputIds: [3, 4, 5], labels: [-1, 4, 5] },
  ]
  for (const packing of [false, true])
    await expect(trainer({ packing }, { trainDataset }).made.train()).rejects.toThrow(
      'The label -1 is no token id and not -100 (row 1, labels[0]). Write -100 where nothing is learnt',
    )
})

it('says which columns the chat template does not print', async () => {
  const documents = [{ title: 'Letters', text: 'a b c' }]
  const trainDataset = Dataset.fromRows(
    chats()
      .toArray()
      .map((row) => ({ ...row, documents })),
  )
  const { made, said } = trainer({ maxSteps: 1 }, { trainDataset })
  await made.train()
  expect(said).toContain('The chat template does not print documents: what it leaves out is not learned')
})
