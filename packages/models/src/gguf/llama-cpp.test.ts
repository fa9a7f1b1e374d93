import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import * as tf from '@tensorflow/tfjs-core'
import { selectBackend } from '@tunesmith/backend'
import { Random } from '@tunesmith/core'
import { Tokenizer } from '@tunesmith/tokenization'
import { openInLlamaCpp } from '@tunesmith/tooling/llama-cpp'
import { sharedPath } from '@tunesmith/tooling/shared'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { llama } from '../architectures/llama'
import { generationDefaults } from '../generation/generation-config'
import { type CausalLM, createModel, exportGguf, generate, packSequences, parseModelConfig } from '../index'
import { FAMILIES } from '../testing/families'
import { modelMetadata } from './model'
import { tokenizerMetadata } from './tokenizer'
import { writeGguf } from './write'

const fixtures = fileURLToPath(new URL('../fixtures/tokenizers', import.meta.url))
let folder: string
let tokenizer: Tokenizer

beforeAll(async () => {
  await selectBackend()
  folder = await mkdtemp(join(tmpdir(), 'tunesmith-gguf-'))
  tokenizer = await Tokenizer.fromPretrained(join(fixtures, 'byte-level'))
})
afterAll(() => rm(folder, { recursive: true }))

const sizes = {
  vocab_size: 334,
  hidden_size: 64,
  intermediate_size: 96,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  max_position_embeddings: 128,
  initializer_range: 0.25,
  eos_token_id: 2,
}

const yarn = { rope_type: 'yarn', factor: 4, original_max_position_embeddings: 32 }
const llama3 = { rope_type: 'llama3', factor: 8, original_max_position_embeddings: 16 }
const families: [string, Record<string, unknown>][] = [
  ...FAMILIES.flatMap(({ modelType, gguf }): [string, Record<string, unknown>][] => (gguf ? [[modelType, gguf]] : [])),
  ['llama with rope linear', { rope_parameters: { rope_type: 'linear', factor: 3 }, tie_word_embeddings: true }],
  ['llama with rope llama3', { rope_parameters: { ...llama3, low_freq_factor: 1, high_freq_factor: 4 } }],
  ['llama with rope yarn', { rope_parameters: yarn }],
]

/** Norms, biases and scales that matter: a fresh model has ones and zeros. */
function unsettle(model: CausalLM): void {
  const random = new Random(7)
  for (const { weight } of model.norms.values())
    (weight as tf.Variable).assign(
      tf.tidy(() => tf.tensor1d(Array.from(weight.dataSync(), (v) => v + 0.2 * random.normal()))),
    )
  for (const { bias } of model.linears.values())
    if (bias)
      (bias as tf.Variable).assign(tf.tidy(() => tf.tensor1d(Array.from(bias.dataSync(), () => 0.3 * random.normal()))))
}

const prompts = [Array.from({ length: 24 }, (_, i) => 3 + ((i * 37) % 320)), [7, 100, 55, 9]]

/** The smallest distance between the two best logits on the way: near ties are a matter of rounding. */
function smallestGap(model: CausalLM, prompt: number[], tokens: number[]): number {
  return tf.tidy(() => {
    const hidden = model.forward(packSequences([[...prompt, ...tokens]]))
    const { values } = tf.topk(model.logits(hidden), 2)
    const pairs = values.dataSync()
    let gap = Number.POSITIVE_INFINITY
    for (let t = prompt.length - 1; t < pairs.length / 2 - 1; t++)
      gap = Math.min(gap, pairs[2 * t]! - pairs[2 * t + 1]!)
    return gap
  })
}

describe('llama.cpp', () => {
  for (const [name, more] of families)
    it(`${name}: the same greedy tokens from a float32 file`, async () => {
      const model = createModel({ model_type: name.split(' ')[0], ...sizes, ...more }, { seed: 12 })
      unsettle(model)
      const { file, notes } = await exportGguf(model, tokenizer, folder, { type: 'f32', name: 'tiny' })
      expect(notes).toEqual([])
      const theirs = await openInLlamaCpp(file)
      const ours = await generate(model, prompts, { maxNewTokens: 32, stopTokenIds: [], doSample: false })
      for (const [i, prompt] of prompts.entries()) {
        expect(smallestGap(model, prompt, ours[i]!)).toBeGreaterThan(1e-3)
        expect(await theirs.greedy(prompt, 32)).toEqual(ours[i])
      }
      await theirs.close()
      model.dispose()
    })

  for (const [type, limit] of [
    ['f16', 0.001],
    ['bf16', 0.01],
    ['q8_0', 0.02],
    ['q6_k', 0.05],
    ['q5_k_m', 0.08],
    ['q4_k_m', 0.15],
    ['q4_0', 0.15],
    ['iq4_xs', 0.15],
    ['q3_k_m', 0.25],
    ['q2_k', 0.45],
  ] as const)
    it(`${type}: nearly the same next token`, async () => {
      // Rows of whole blocks of 256.
      const wide = { ...sizes, hidden_size: 256, intermediate_size: 256, initializer_range: 0.06 }
      const model = createModel({ model_type: 'llama', ...wide }, { seed: 12 })
      const { file } = await exportGguf(model, tokenizer, folder, { type, name: 'tiny' })
      const theirs = await openInLlamaCpp(file)
      const probabilities = await theirs.probabilities(prompts[0]!)
      const ours = tf.tidy(() => {
        const logits = model.logits(model.forward(packSequences([prompts[0]!])))
        return tf.softmax(logits).dataSync().slice(-model.config.vocabSize)
      })
      // Total variation: the largest difference in the probability of any set of tokens.
      let distance = 0
      ours.forEach((p, token) => {
        distance += Math.abs(p - (probabilities.get(token) ?? 0)) / 2
      })
      expect(distance).toBeGreaterThan(0)
      expect(distance).toBeLessThan(limit)
      await theirs.close()
      model.dispose()
    })
})

describe("llama.cpp's tokens", () => {
  const texts = [
    'The gardener waters the lemon tree.',
    "it's the doctor's patient, isn't it? WE'LL SEE",
    '  two spaces, a tab\tand\n\n three   ends   ',
    'In 1987 there were 12345678 letters; 3.14159 and 1,000,000.',
    'äöü ñ 日本語のテキスト и кириллица 😀👍🏽 \u200d end',
    'function f(x) {\n    return x === 0 ? "a" : `b` + x\n}\r\n',
    '<|im_start|>user\nWhich clock?<|im_end|>\n<|im_start|>assistant\n',
    '####   !!! ... --- (((nested))) [x](y)',
    '',
  ]
  const check = async (which: Tokenizer, name: string) => {
    const file = join(folder, `${name}.gguf`)
    // The tokenizer alone says what begins a text, so that the model names no token of its own.
    const config = parseModelConfig({
      ...sizes,
      model_type: 'llama',
      vocab_size: which.vocabSize + 7,
      bos_token_id: null,
    })
    const words = tokenizerMetadata(which, config.vocabSize, generationDefaults(config))
    const metadata = new Map([...modelMetadata(config, llama.gguf!), ...words])
    await writeGguf(file, metadata, [])
    const theirs = await openInLlamaCpp(file, { vocabOnly: true })
    for (const text of texts)
      expect(theirs.tokenize(text), text).toEqual([...which.encode(text, { addSpecialTokens: false }).ids])
    expect(theirs.bos).toBe(which.bosTokenId ?? null)
    expect(theirs.eos).toBe(which.eosTokenId)
    await theirs.close()
  }
  for (const name of ['byte-level', 'sentence-piece'])
    it(name, async () => check(await Tokenizer.fromPretrained(join(fixtures, name)), name))

  const shared = sharedPath('tokenizers')
  for (const name of [
    'gpt2',
    'llama-3.1-8b-instruct',
    'qwen2.5-instruct',
    'tinyllama-1.1b-chat',
    'starling-lm-7b-alpha',
  ])
    it.runIf(shared)(name, async () => check(await Tokenizer.fromPretrained(join(shared!, name)), name))
})
