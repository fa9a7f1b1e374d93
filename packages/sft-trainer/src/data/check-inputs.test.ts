import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as tf from '@tensorflow/tfjs-core'
import { selectBackend } from '@tunesmith/backend'
import { loadDataset } from '@tunesmith/datasets'
import { createModel, loadModel, makeTrainable, packSequences, savePretrained } from '@tunesmith/models'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { countingExamples, TINY_MODEL } from '../testing/counting-task'
import { letterTokenizer } from '../testing/letter-task'
import { tinyTrainer } from '../testing/tiny-trainer'

let folder: string
beforeAll(async () => {
  await selectBackend()
  folder = await mkdtemp(join(tmpdir(), 'tunesmith-inputs-'))
})
afterAll(() => rm(folder, { recursive: true }))

const refusal = (options: object): unknown => {
  try {
    tinyTrainer({ outputDir: join(folder, 'out') }, options)
  } catch (error) {
    return error
  }
  return 'accepted'
}

describe('what is given to train on', () => {
  it('may be rows in an array, of any known format', async () => {
    const rows = Array.from('abcdefgh', (question) => ({ question, answer: 'k' }))
    const options = { trainDataset: rows, evalDataset: rows, tokenizer: letterTokenizer() }
    const { trainer } = tinyTrainer({ outputDir: join(folder, 'rows'), maxSteps: 1 }, options)
    expect((await trainer.train()).steps).toBe(1)
    expect((await trainer.evaluate()).evalLoss).toBeGreaterThan(0)
  })

  it("names our columns for Python's", () => {
    const rows = [{ input_ids: [1, 2], labels: [1, 2] }]
    expect(refusal({ trainDataset: rows })).toMatchObject({
      code: 'invalid_data',
      message: expect.stringMatching(/"input_ids".*row 0.*inputIds and labels/s),
    })
  })

  it('is refused by name when it has to be loaded first', async () => {
    await writeFile(join(folder, 'a.jsonl'), '{"text":"a"}')
    const stream = await loadDataset(join(folder, 'a.jsonl'), { streaming: true })
    const model = createModel(TINY_MODEL)
    for (const [options, where, remedy] of [
      [{ trainDataset: 'rows.jsonl' }, 'trainDataset', "await loadDataset('rows.jsonl')"],
      [{ evalDataset: 'rows.jsonl' }, 'evalDataset', "await loadDataset('rows.jsonl')"],
      [{ trainDataset: stream }, 'trainDataset', 'await stream.collect()'],
      [{ trainDataset: loadDataset(join(folder, 'a.jsonl')) }, 'trainDataset', '`await`'],
      [{ trainDataset: undefined }, 'trainDataset', 'loadDataset'],
      [{ trainDataset: { text: 'a' } }, 'trainDataset', 'array of objects'],
      [{ trainDataset: ['a'] }, 'trainDataset, row 0', '{ text }'],
      [{ trainDataset: [...countingExamples(1), { text: 'a' }] }, 'trainDataset, row 1', 'all rows or none'],
      [{ model: 'owner/name' }, 'model', "await loadModel('owner/name')"],
      [{ model: Promise.resolve(model) }, 'model', '`await`'],
      [{ model: {} }, 'model', 'loadModel'],
      [{ tokenizer: 'owner/name' }, 'tokenizer', "await Tokenizer.fromPretrained('owner/name')"],
    ] as const)
      expect(refusal(options), where).toMatchObject({ where, remedy: expect.stringContaining(remedy) })
  })
})

describe('the output folder', () => {
  it('belongs to one training at a time', async () => {
    const outputDir = join(folder, 'locked')
    let started = () => {}
    let finish = () => {}
    const atStep = new Promise<void>((resolve) => (started = resolve))
    const onStepEnd = () => {
      started()
      return new Promise<void>((resolve) => (finish = resolve))
    }
    const first = tinyTrainer({ outputDir, maxSteps: 1 }, { callbacks: [{ onStepEnd }] }).trainer.train()
    await atStep
    await expect(tinyTrainer({ outputDir }).trainer.train()).rejects.toMatchObject({
      code: 'io',
      message: expect.stringContaining(`in use by process ${process.pid}`),
    })
    finish()
    await first
    expect(await readdir(outputDir)).not.toContain('.tunesmith.lock')
  })

  it('is refused before anything is computed when it cannot be written', async () => {
    await writeFile(join(folder, 'file'), '')
    for (const outputDir of [join(folder, 'file'), join(folder, 'file', 'below')])
      await expect(tinyTrainer({ outputDir }).trainer.train(), outputDir).rejects.toMatchObject({
        code: expect.stringMatching(/^(io|not_found)$/),
        where: outputDir,
      })
  })

  it('is not the folder of the model', async () => {
    const base = join(folder, 'base')
    await savePretrained(createModel(TINY_MODEL), base)
    const model = await loadModel(base)
    await expect(tinyTrainer({ outputDir: `${base}/` }, { model }).trainer.train()).rejects.toThrow(
      /folder of the model/,
    )
  })
})

it("a model's loss under tf.variableGrads says what to call", () => {
  const model = createModel(TINY_MODEL)
  const parameters = [...makeTrainable(model).values()]
  const loss = () => model.loss(packSequences([[1, 2]]), [2, -100]).loss as tf.Scalar
  expect(() => tf.variableGrads(loss, parameters)).toThrow(/valueAndGrads/)
})
