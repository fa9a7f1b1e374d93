import { fileURLToPath } from 'node:url'
import * as tf from '@tensorflow/tfjs-core'
import { selectBackend } from '@tunesmith/backend'
import { Random } from '@tunesmith/core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type CausalLM, createModel, Engine, type EngineEvent, type EngineRequest, generate, loadModel } from '../index'

const config = {
  model_type: 'llama',
  vocab_size: 330,
  hidden_size: 32,
  intermediate_size: 64,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  max_position_embeddings: 256,
  eos_token_id: 2,
  initializer_range: 0.4,
}

let model: CausalLM
beforeAll(async () => {
  await selectBackend()
  model = createModel(config, { seed: 4 })
})
afterAll(() => model.dispose())

type Token = Extract<EngineEvent, { type: 'token' }>

/** All events of a request; the answer as `generate` gives it. */
async function answer(engine: Engine, request: EngineRequest) {
  const tokens: Token[] = []
  let cachedTokens = -1
  for await (const event of engine.submit(request))
    if (event.type === 'start') cachedTokens = event.cachedTokens
    else tokens.push(event)
  const all = tokens.map(({ token }) => token)
  return { tokens, cachedTokens, answer: all.slice(0, all.length - (tokens.at(-1)!.stopLength ?? 0)) }
}

const promptOf = (random: Random, length: number) => Array.from({ length }, () => 3 + random.int(320))

describe('the engine', () => {
  it('answers as generate does, whoever else asks, joins late or leaves early, and leaves no tensor behind', async () => {
    const random = new Random(1)
    const requests = Array.from({ length: 24 }, (_, i) => ({
      prompt: promptOf(random, [1, 5, 17, 40, 90, 130][i % 6]!),
      maxNewTokens: 1 + random.int(20),
      stopTokenIds: [],
    }))
    const alone: number[][] = []
    for (const { prompt, ...options } of requests) alone.push((await generate(model, [prompt], options))[0]!)
    const before = tf.memory().numTensors
    const engine = new Engine(model, { cacheTokens: 700, maxRunning: 5, prefillChunk: 64 })
    const answers = await Promise.all(
      requests.map(async (request, i) => {
        for (let turn = 0; turn < 3 * (i % 4); turn++) await new Promise((resolve) => setImmediate(resolve))
        return (await answer(engine, request)).answer
      }),
    )
    expect(answers).toEqual(alone)
    expect(engine.stats).toMatchObject({ running: 0, waiting: 0, prompts: 24 })
    await engine.close()
    expect(tf.memory().numTensors).toBe(before)
  })

  it('draws, penalises and stops as the options say, with a seed for each request', async () => {
    const engine = new Engine(model)
    const prompt = promptOf(new Random(2), 30)
    const options = { maxNewTokens: 12, stopTokenIds: [], doSample: true, temperature: 1.5, topK: 40 }
    const seeds = [1, 2, 3]
    const drawn = await Promise.all(seeds.map((seed) => answer(engine, { prompt, ...options, seed })))
    for (const [i, seed] of seeds.entries())
      expect(drawn[i]!.answer).toEqual((await generate(model, [prompt], { ...options, seed }))[0])
    expect(new Set(drawn.map((one) => one.answer.join())).size).toBe(3)
    const greedy = (await answer(engine, { prompt, maxNewTokens: 12, stopTokenIds: [] })).answer
    const stopped = await answer(engine, { prompt, maxNewTokens: 12, stopTokenIds: [greedy[4]!] })
    expect(stopped.answer).toEqual(greedy.slice(0, greedy.indexOf(greedy[4]!)))
    expect(stopped.tokens.at(-1)).toMatchObject({ finish: 'stop', stopLength: 1 })
    const never = { prompt, maxNewTokens: 12, stopTokenIds: [], presencePenalty: 1e6 }
    const different = (await answer(engine, never)).answer
    expect(new Set(different).size).toBe(12)
    await engine.close()
  })

  it('gives log-probabilities of the model itself, and obeys a mask of tokens', async () => {
    const engine = new Engine(model)
    const prompt = promptOf(new Random(3), 20)
    const allowed = [10, 77, 200]
    const mask = new Int32Array(Math.ceil(330 / 32))
    for (const token of allowed) mask[token >> 5]! |= 1 << (token & 31)
    const seen: number[] = []
    const { tokens } = await answer(engine, {
      prompt,
      maxNewTokens: 5,
      stopTokenIds: [],
      logProbs: 3,
      mask: (so) => {
        seen.push(so.length)
        return so.length < 4 ? mask : undefined
      },
    })
    expect(seen).toEqual([0, 1, 2, 3, 4])
    expect(tokens.slice(0, 4).every(({ token }) => allowed.includes(token))).toBe(true)
    const last = tokens[4]!
    expect(last.top).toHaveLength(3)
    expect(last.top![0]).toEqual({ token: last.token, logProb: last.logProb })
    for (const { top, logProb } of tokens) {
      expect(top!.map((one) => one.logProb)).toEqual(top!.map((one) => one.logProb).sort((a, b) => b - a))
      expect(logProb).toBeLessThanOrEqual(top![0]!.logProb)
    }
    // Against probabilities over the whole vocabulary, from a pass of its own.
    const logits = tf.tidy(() => {
      const input = { inputIds: prompt, positions: prompt.map((_, i) => i), cuSeqlens: [0, prompt.length] }
      return tf.logSoftmax(tf.slice(model.logits(model.forward(input)), [prompt.length - 1, 0], [1, 330])).dataSync()
    })
    expect(tokens[0]!.logProb).toBeCloseTo(logits[tokens[0]!.token]!, 4)
    await engine.close()
  })

  it('copies the beginning that an earlier request had, and drops the oldest when rows are needed', async () => {
    const engine = new Engine(model, { cacheTokens: 320 })
    const turn = promptOf(new Random(5), 60)
    const options = { maxNewTokens: 10, stopTokenIds: [] }
    const first = await answer(engine, { prompt: turn, ...options })
    expect(first.cachedTokens).toBe(0)
    const next = [...turn, ...first.answer, ...promptOf(new Random(6), 30)]
    const second = await answer(engine, { prompt: next, ...options })
    // The last token of the first answer was never read.
    expect(second.cachedTokens).toBe(69)
    expect(second.answer).toEqual((await generate(model, [next], options))[0])
    // The whole prompt is held: at least 17 tokens are read anew all the same.
    const again = await answer(engine, { prompt: next, ...options })
    expect(again).toMatchObject({ cachedTokens: 100 - 17, answer: second.answer })
    await answer(engine, { prompt: promptOf(new Random(7), 200), ...options })
    expect(engine.stats.cacheTokensUsed).toBeLessThanOrEqual(320)
    expect((await answer(engine, { prompt: turn, ...options })).cachedTokens).toBe(0)
    engine.forget()
    expect(engine.stats.cacheTokensUsed).toBe(0)
    await engine.close()
  })

  it('cancels when the iteration is left, when the signal fires and when it is closed; the others go on', async () => {
    const engine = new Engine(model, { maxRunning: 3 })
    const options = { maxNewTokens: 60, stopTokenIds: [] }
    const controller = new AbortController()
    const prompt = promptOf(new Random(8), 20)
    const alone = (await generate(model, [prompt], options))[0]
    const whole = answer(engine, { prompt, ...options })
    const byFire = answer(engine, { prompt: [4, 5], ...options, signal: controller.signal })
    const left = (async () => {
      let count = 0
      for await (const event of engine.submit({ prompt: [9, 9], ...options }))
        if (event.type === 'token' && ++count === 3) break
      return count
    })()
    expect(await left).toBe(3)
    controller.abort()
    await expect(byFire).rejects.toMatchObject({ code: 'aborted' })
    expect((await whole).answer).toEqual(alone)
    const waiting = answer(engine, { prompt, ...options })
    const closed = engine.close()
    await expect(waiting).rejects.toMatchObject({ code: 'aborted' })
    await closed
    expect(() => engine.submit({ prompt })).toThrow('The engine is closed')
  })

  it('refuses what cannot be answered, by name', async () => {
    const engine = new Engine(model, { cacheTokens: 64, maxRunning: 1, maxWaiting: 1 })
    expect(() => engine.submit({ prompt: [] })).toThrow('The prompt has 0 tokens')
    expect(() => engine.submit({ prompt: Array(300).fill(5) })).toThrow(
      'The prompt has 300 tokens; it must have 1 to 255',
    )
    expect(() => engine.submit({ prompt: [5], maxNewTokens: 64 })).toThrow(
      'The request needs 65 tokens of a cache that holds 64',
    )
    expect(() => engine.submit({ prompt: [5], maxNewTokens: 5, adapter: 'x' })).toThrow('There is no adapter "x"')
    expect(() => engine.submit({ prompt: [5], maxNewTokens: 5, topP: 3 })).toThrow('topP')
    await expect(engine.loadAdapter('x', 'folder')).rejects.toThrow('This engine has no adapters')
    const options = { maxNewTokens: 30, stopTokenIds: [] }
    const first = engine.submit({ prompt: [5], ...options })
    await first.next()
    const second = answer(engine, { prompt: [6], ...options })
    expect(() => engine.submit({ prompt: [7], ...options })).toThrow(/1 requests are waiting already.*Try again/)
    const [outside, good] = [engine, second]
    for await (const _ of first);
    expect((await good).answer).toHaveLength(30)
    // A token outside the vocabulary is an error of its own request.
    await expect(answer(outside, { prompt: [400], ...options })).rejects.toThrow('Token id 400')
    expect((await answer(engine, { prompt: [6], ...options })).answer).toHaveLength(30)
    await engine.close()
  })

  it('reads prompts whole where rotation depends on their length', async () => {
    const longrope = await loadModel(fileURLToPath(new URL('../fixtures/phi3-longrope', import.meta.url)))
    const { originalMaxPositionEmbeddings: edge } = longrope.config.layers[0]!.rope!
    const engine = new Engine(longrope, { prefillChunk: 32 })
    const options = { maxNewTokens: 8, stopTokenIds: [] }
    const prompts = [edge - 3, edge + 40].map((length) => Array.from({ length }, (_, i) => 3 + ((i * 7) % 20)))
    const answers = await Promise.all(prompts.map((prompt) => answer(engine, { prompt, ...options })))
    for (const [i, prompt] of prompts.entries())
      expect(answers[i]!.answer).toEqual((await generate(longrope, [prompt], options))[0])
    await engine.close()
    longrope.dispose()
  })
})
