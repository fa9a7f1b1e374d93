import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as tf from '@tensorflow/tfjs-core'
import { selectBackend } from '@tunesmith/backend'
import { Random } from '@tunesmith/core'
import { Engine, type EngineRequest, generate } from '@tunesmith/models'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { engineAdapters, getPeftModel, PeftModel, savePeftModel } from './index'
import { tinyModel } from './testing'
import { perturb } from './testing/measure'

let folder: string
beforeAll(async () => {
  await selectBackend()
  folder = await mkdtemp(join(tmpdir(), 'tunesmith-engine-'))
})
afterAll(() => rm(folder, { recursive: true }))

const NAMES = ['a', 'b', 'c', 'd', 'e']

/** Five saved adapters of different ranks and weights, and what each answers to each prompt when nothing else is there. */
async function coldAnswers(prompts: readonly number[][], options: { maxNewTokens: number; stopTokenIds: number[] }) {
  const model = tinyModel()
  const answers = new Map([['__base__', await generate(model, prompts, options)]])
  for (const [i, name] of NAMES.entries()) {
    const peft = getPeftModel(model, { r: 2 + i, targetModules: i % 2 ? 'all-linear' : undefined })
    perturb(peft, 0.3, i)
    await savePeftModel(peft, join(folder, name))
    const alone: number[][] = []
    for (const prompt of prompts) alone.push((await generate(model, [prompt], options))[0]!)
    answers.set(name, alone)
    peft.unload()
  }
  model.dispose()
  return answers
}

async function answerOf(engine: Engine, request: EngineRequest): Promise<number[]> {
  const tokens: number[] = []
  for await (const event of engine.submit(request)) if (event.type === 'token') tokens.push(event.token)
  return tokens
}

test('2,000 requests over four adapters with shared beginnings, loaded, unloaded and loaded anew: never the wrong one', async () => {
  const random = new Random(9)
  const vocab = tinyModel().config.vocabSize
  const tokensOf = (length: number) => Array.from({ length }, () => 3 + random.int(vocab - 3))
  const shared = tokensOf(24)
  const prompts = Array.from({ length: 8 }, (_, i) => [
    ...shared.slice(0, [24, 24, 20, 9][i % 4]),
    ...tokensOf(1 + 3 * i),
  ])
  const options = { maxNewTokens: 4, stopTokenIds: [] }
  const cold = await coldAnswers(prompts, options)
  // The answers differ: a wrong adapter would be seen.
  for (const [i] of prompts.entries())
    expect(new Set([...cold.values()].map((answers) => answers[i]!.join())).size).toBe(6)

  const model = tinyModel()
  const peft = new PeftModel(model)
  const before = tf.memory().numTensors
  const engine = new Engine(model, { cacheTokens: 1200, maxRunning: 12, maxWaiting: 64 }, engineAdapters(peft))
  // Which folder's weights are behind a name: `x` gets those of others in turn.
  const behind = new Map<string, string>([['__base__', '__base__']])
  const load = async (name: string, from: string) => {
    await engine.loadAdapter(name, join(folder, from))
    behind.set(name, from)
  }
  for (const name of ['a', 'b', 'c']) await load(name, name)
  await load('x', 'd')
  let answered = 0
  let asked = 0
  const ask = async (own: Random) => {
    while (asked < 2000) {
      asked++
      const names = [...behind.keys()]
      const adapter = own.pick(names)
      const from = behind.get(adapter)!
      const p = own.int(prompts.length)
      expect(await answerOf(engine, { prompt: prompts[p]!, adapter, ...options })).toEqual(cold.get(from)![p])
      answered++
    }
  }
  const exchange = async () => {
    for (let i = 0; asked < 2000; i++) {
      while (answered < 150 * (i + 1) && asked < 2000) await new Promise((resolve) => setTimeout(resolve, 1))
      behind.delete('x')
      await engine.unloadAdapter('x')
      await load('x', i % 2 ? 'd' : 'e')
    }
  }
  await Promise.all([exchange(), ...Array.from({ length: 24 }, (_, i) => ask(new Random(i)))])
  expect(answered).toBe(2000)
  expect(engine.stats.cachedTokens).toBeGreaterThan(1000)
  await engine.close()
  for (const name of peft.adapterNames) peft.deleteAdapter(name)
  expect(tf.memory().numTensors).toBe(before)
})

test('an adapter that cannot share a batch is refused when it is loaded, one that is not there by name', async () => {
  const model = tinyModel()
  const head = getPeftModel(model, { r: 2, targetModules: ['lm_head'] })
  await savePeftModel(head, join(folder, 'head'))
  expect(() => new Engine(model, { cacheTokens: 64 }, engineAdapters(head))).toThrow('output layer')
  head.unload()
  const peft = new PeftModel(model)
  const engine = new Engine(model, { cacheTokens: 64 }, engineAdapters(peft))
  await expect(engine.loadAdapter('head', join(folder, 'head'))).rejects.toThrow('output layer')
  expect(peft.adapterNames).toEqual([])
  await expect(engine.loadAdapter('none', join(folder, 'none'))).rejects.toMatchObject({ code: 'not_found' })
  await engine.loadAdapter('a', join(folder, 'a'))
  await expect(engine.loadAdapter('a', join(folder, 'b'))).rejects.toThrow('There is an adapter "a" already')
  await expect(engine.unloadAdapter('b')).rejects.toThrow('There is no adapter "b"')
  await engine.close()
})
