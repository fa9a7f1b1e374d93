import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import * as tf from '@tensorflow/tfjs-core'
import { selectBackend } from '@tunesmith/backend'
import { type Message, Tokenizer } from '@tunesmith/tokenization'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  type CausalLM,
  createModel,
  fitChat,
  type GenerateOptions,
  generate,
  generateText,
  loadModel,
  savePretrained,
  streamText,
  streamTokens,
} from '../index'

const config = {
  model_type: 'llama',
  vocab_size: 330,
  hidden_size: 32,
  intermediate_size: 64,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  max_position_embeddings: 96,
  eos_token_id: 2,
  initializer_range: 0.4,
}

let model: CausalLM
let tokenizer: Tokenizer
const fixtures = fileURLToPath(new URL('../fixtures/tokenizers', import.meta.url))
const prompts = [[5, 9, 11], [7], [40, 41, 42, 43, 44, 45]]

beforeAll(async () => {
  await selectBackend()
  model = createModel(config, { seed: 4 })
  tokenizer = await Tokenizer.fromPretrained(join(fixtures, 'byte-level'))
})
afterAll(() => model.dispose())

const free = { maxNewTokens: 20, stopTokenIds: [] }

describe('generate', () => {
  it('reads prompts of different lengths together as it does alone, and leaves no tensor behind', async () => {
    const before = tf.memory().numTensors
    const together = await generate(model, prompts, free)
    for (const [i, prompt] of prompts.entries()) expect(await generate(model, [prompt], free)).toEqual([together[i]])
    expect(together.map(({ length }) => length)).toEqual([20, 20, 20])
    expect(tf.memory().numTensors).toBe(before)
    expect(await generate(model, [], free)).toEqual([])
  })

  it('stops at a stop token or sequence and leaves it out; others go on', async () => {
    const [a, b] = await generate(model, prompts.slice(0, 2), free)
    const [stopped, other] = await generate(model, prompts.slice(0, 2), { ...free, stopTokenIds: [a![6]!] })
    expect(stopped).toEqual(a!.slice(0, a!.indexOf(a![6]!)))
    expect(other).toEqual(b!.includes(a![6]!) ? b!.slice(0, b!.indexOf(a![6]!)) : b)
    const run = b!.slice(4, 7)
    const at = b!.findIndex((_, i) => run.every((token, j) => b![i + j] === token))
    expect(await generate(model, [prompts[1]!], { ...free, stopSequences: [[1, 1, 1], run] })).toEqual([
      b!.slice(0, at),
    ])
    const finishes: unknown[] = []
    for await (const { finish, stopLength } of streamTokens(model, [prompts[1]!], { ...free, stopSequences: [run] }))
      if (finish) finishes.push([finish, stopLength])
    expect(finishes).toEqual([['stop', 3]])
  })

  it('gives several answers to each prompt, as if each had read it, and the same with the same seed', async () => {
    const options = { ...free, doSample: true, temperature: 2, seed: 3, numReturnSequences: 3 }
    const answers = await generate(model, prompts, options)
    expect(answers.length).toBe(9)
    expect(new Set(answers.map(String)).size).toBe(9)
    expect(await generate(model, prompts, options)).toEqual(answers)
    expect(await generate(model, prompts, { ...options, seed: 4 })).not.toEqual(answers)
    // Copies of the prompt in the place of copies of the cache.
    const copies = prompts.flatMap((prompt) => [prompt, prompt, prompt])
    expect(await generate(model, copies, { ...options, numReturnSequences: 1 })).toEqual(answers)
    await expect(generate(model, prompts, { numReturnSequences: 2 })).rejects.toThrow(/doSample/)
  })

  it('ends at the context, refuses what does not fit, and stops when it is told to', async () => {
    const long = Array.from({ length: 90 }, (_, i) => i)
    expect((await generate(model, [long], { ...free, maxNewTokens: 50 }))[0]!.length).toBe(6)
    await expect(generate(model, [[]])).rejects.toThrow(/Prompt 0 has 0 tokens/)
    await expect(generate(model, [[1], new Array(96).fill(1)])).rejects.toThrow(/Prompt 1 has 96 tokens/)
    await expect(generate(model, [[330]], free)).rejects.toThrow(/330.*outside the vocabulary/)
    await expect(generate(model, [[1]], { maxTokens: 3 } as never)).rejects.toThrow(/maxNewTokens/)
    const controller = new AbortController()
    const before = tf.memory().numTensors
    const tokens: number[] = []
    await expect(async () => {
      for await (const { token } of streamTokens(model, [[1]], { ...free, signal: controller.signal })) {
        tokens.push(token)
        if (tokens.length === 4) controller.abort('enough')
      }
    }).rejects.toMatchObject({ code: 'aborted', cause: 'enough' })
    expect(tokens.length).toBe(4)
    for await (const _ of streamTokens(model, prompts, free)) break
    expect(tf.memory().numTensors).toBe(before)
  })

  it('takes from generation_config.json what the options leave open', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'tunesmith-generation-'))
    await savePretrained(model, folder)
    const same = async (file: object, options: GenerateOptions, as: GenerateOptions) => {
      await writeFile(join(folder, 'generation_config.json'), JSON.stringify(file))
      const loaded = await loadModel(folder)
      expect(await generate(loaded, prompts, options)).toEqual(await generate(model, prompts, as))
      loaded.dispose()
    }
    const [first] = await generate(model, [prompts[0]!], free)
    const stopTokenIds = [first![3]!, first![9]!]
    await same({ eos_token_id: stopTokenIds, max_new_tokens: 20 }, {}, { maxNewTokens: 20, stopTokenIds })
    const sampling = { doSample: true, temperature: 1.5, topK: 20, topP: 0.9, minP: 0.01, repetitionPenalty: 1.2 }
    const file = { do_sample: true, temperature: 1.5, top_k: 20, top_p: 0.9, min_p: 0.01, repetition_penalty: 1.2 }
    await same(file, { ...free, seed: 5 }, { ...free, ...sampling, seed: 5 })
    await same(file, { ...free, doSample: false, repetitionPenalty: 1 }, free)
    await same(file, { ...free, topK: 3, seed: 2 }, { ...free, ...sampling, topK: 3, seed: 2 })
    await writeFile(join(folder, 'generation_config.json'), '{"temperature": "warm"}')
    await expect(loadModel(folder)).rejects.toMatchObject({ code: 'invalid_file', message: /temperature/ })
    await rm(folder, { recursive: true })
  })
})

describe('text', () => {
  it('comes in whole characters, and the pieces make the whole', async () => {
    const options = { maxNewTokens: 60, stopTokenIds: [], doSample: true, temperature: 3, seed: 8 }
    const tokens: number[] = []
    let text = ''
    for await (const piece of streamText(model, tokenizer, ['The garden'], options)) {
      tokens.push(piece.token)
      text += piece.text
      // What is half a character is shown at the end or when nothing can complete it.
      expect(tokenizer.decode(tokens, { skipSpecialTokens: true }).startsWith(text)).toBe(true)
    }
    expect(text).toBe(tokenizer.decode(tokens, { skipSpecialTokens: true }))
    const [whole] = await generateText(model, tokenizer, ['The garden'], options)
    expect(whole).toEqual({ text, tokens, finish: 'length' })
  })

  it('ends before a stop string, wherever the tokens cut it, and before a stop sequence', async () => {
    const options = { maxNewTokens: 40, stopTokenIds: [], doSample: true, temperature: 2, seed: 1 }
    const [whole] = await generateText(model, tokenizer, ['The baker'], options)
    const { text, tokens } = whole!
    for (let from = 3; from + 4 < text.length; from += 5) {
      const stop = text.slice(from, from + 4)
      const expected = text.slice(0, text.indexOf(stop))
      const [cut] = await generateText(model, tokenizer, ['The baker'], { ...options, stopStrings: [stop, 'no such'] })
      expect(cut!.finish).toBe('stop')
      expect(cut!.text).toBe(expected)
      expect(cut!.tokens).toEqual(tokens.slice(0, cut!.tokens.length))
    }
    const run = tokens.slice(10, 13)
    const [cut] = await generateText(model, tokenizer, ['The baker'], { ...options, stopSequences: [run] })
    expect(cut!.tokens.slice(-3)).toEqual(run)
    expect(cut!.text).toBe(tokenizer.decode(cut!.tokens.slice(0, -3), { skipSpecialTokens: true }))
  })

  it("ends at the tokenizer's end token", async () => {
    const end = tokenizer.eosTokenId!
    const options = { maxNewTokens: 90, doSample: true, temperature: 4 }
    const seeds = [1, 2, 3, 4, 5, 6, 7, 8]
    const all = await Promise.all(seeds.map((seed) => generateText(model, tokenizer, ['A'], { ...options, seed })))
    const stopped = all.flat().filter(({ finish }) => finish === 'stop')
    expect(stopped.length).toBeGreaterThan(0)
    for (const { tokens, text } of stopped) {
      expect(tokens.at(-1)).toBe(end)
      expect(text).toBe(tokenizer.decode(tokens.slice(0, -1), { skipSpecialTokens: true }))
    }
  })
})

describe('fitChat', () => {
  const turn = (i: number) => [
    { role: 'user', content: `The gardener asks ${i}` },
    { role: 'assistant', content: `The doctor answers ${i}` },
    { role: 'tool', content: 'a clock' },
  ]
  const messages = [
    { role: 'system', content: 'The night train' },
    ...turn(1),
    ...turn(2),
    ...turn(3),
    { role: 'user', content: 'and then' },
  ]
  const length = (some: Message[]) =>
    tokenizer.encode(tokenizer.applyChatTemplate(some, { addGenerationPrompt: true }), { addSpecialTokens: false }).ids
      .length

  it('drops whole turns from the front and keeps the system message', () => {
    const all = length(messages)
    expect(fitChat(tokenizer, messages, { maxTokens: all })).toMatchObject({ dropped: 0, messages })
    const fitted = fitChat(tokenizer, messages, { maxTokens: all - 1 })
    expect(fitted.dropped).toBe(3)
    expect(fitted.messages).toEqual([messages[0], ...messages.slice(4)])
    expect(fitted.ids.length).toBe(length(fitted.messages))
    const least = length([messages[0]!, messages.at(-1)!])
    expect(fitChat(tokenizer, messages, { maxTokens: least }).messages).toEqual([messages[0], messages.at(-1)])
    expect(() => fitChat(tokenizer, messages, { maxTokens: least - 1 })).toThrow(/room for/)
  })
})
