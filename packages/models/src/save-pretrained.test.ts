import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import * as tf from '@tensorflow/tfjs-core'
import { linear, selectBackend } from '@tunesmith/backend'
import { openCheckpoint } from '@tunesmith/hub'
import { Tokenizer } from '@tunesmith/tokenization'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type CausalLM, createModel, loadModel, packSequences, savePretrained } from './index'

const tokenizers = fileURLToPath(new URL('fixtures/tokenizers', import.meta.url))
const created: string[] = []
let folder: string

beforeAll(async () => {
  await selectBackend()
})
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tunesmith-save-'))
  created.push(folder)
})
afterAll(() => Promise.all(created.map((path) => rm(path, { recursive: true }))))

const config = {
  model_type: 'qwen2',
  vocab_size: 400,
  hidden_size: 64,
  intermediate_size: 96,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  eos_token_id: [1, 2],
  initializer_range: 0.2,
}
const logitsOf = (model: CausalLM) =>
  tf.tidy(() => Array.from(model.logits(model.forward(packSequences([[3, 1, 4, 1, 5, 9]]))).dataSync()))
const json = async (name: string) => JSON.parse(await readFile(join(folder, name), 'utf8'))

describe('savePretrained', () => {
  it('makes shards with their index, and nothing is lost', async () => {
    const model = createModel(config, { seed: 1 })
    model.generation = { ...model.generation, raw: { temperature: 0.7, do_sample: true }, eosTokenIds: [2] }
    const tokenizer = await Tokenizer.fromPretrained(join(tokenizers, 'byte-level'))
    await savePretrained(model, folder, { maxShardSize: '150KB', tokenizer })
    const files = await readdir(folder)
    const shards = files.filter((name) => /^model-\d{5}-of-\d{5}\.safetensors$/.test(name))
    expect(shards.length).toBeGreaterThan(2)
    for (const shard of shards) expect((await stat(join(folder, shard))).size).toBeLessThan(155_000)
    const { weight_map, metadata } = await json('model.safetensors.index.json')
    expect(new Set(Object.values(weight_map))).toEqual(new Set(shards))
    expect(metadata.total_size).toBe(model.parameterCount() * 4)
    expect(await json('generation_config.json')).toEqual({ temperature: 0.7, do_sample: true, eos_token_id: 2 })
    expect(await json('config.json')).toEqual({ ...config, dtype: 'float32', torch_dtype: 'float32' })
    expect((await Tokenizer.fromPretrained(folder)).vocabSize).toBe(tokenizer.vocabSize)
    const loaded = await loadModel(folder)
    expect(logitsOf(loaded)).toEqual(logitsOf(model))
    expect(loaded.generation.eosTokenIds).toEqual([2])
    loaded.dispose()
    model.dispose()
  })

  it('writes what the chat template ends a turn with beside the EOS token', async () => {
    const model = createModel(config, { seed: 1 })
    model.generation = { ...model.generation, eosTokenIds: [1] }
    const tokenizer = await Tokenizer.fromPretrained(join(tokenizers, 'byte-level'))
    tokenizer.addTokens([{ content: '<|over|>', special: true }])
    tokenizer.chatTemplate = '{% for m in messages %}{{ m.content }}<|over|>{% endfor %}'
    const ends = [1, tokenizer.eosTokenId, tokenizer.tokenToId('<|over|>')]
    const from = join(folder, 'tokenizer')
    await tokenizer.save(from)
    for (const options of [{ tokenizer }, { tokenizerFrom: from }]) {
      await savePretrained(model, folder, options)
      expect((await json('generation_config.json')).eos_token_id).toEqual(ends)
    }
    const loaded = await loadModel(folder)
    expect(loaded.generation.eosTokenIds).toEqual(ends)
    loaded.dispose()
    model.dispose()
  })

  it('keeps the dtype of the weights in memory, and expands quantized ones to what they were', async () => {
    const model = createModel(config, { seed: 1 })
    await savePretrained(model, folder, { dtype: 'bfloat16' })
    const again = join(folder, 'again')
    const dtypes = async (path: string) => {
      const checkpoint = await openCheckpoint(path)
      const found = new Set([...checkpoint.tensors.values()].map(({ dtype }) => dtype))
      await checkpoint.close()
      return [...found]
    }
    for (const quantizationConfig of [undefined, { loadIn4bit: true, bnb4bitQuantType: 'nf4' }] as const) {
      const loaded = await loadModel(folder, { quantizationConfig })
      await savePretrained(loaded, again, { tokenizerFrom: join(tokenizers, 'sentence-piece') })
      expect(await dtypes(again)).toEqual(['BF16'])
      const third = await loadModel(again)
      const [before, after] = [logitsOf(loaded), logitsOf(third)]
      const largest = Math.max(...before.map((value, i) => Math.abs(value - after[i]!)))
      // Expanded weights are rounded to bfloat16.
      expect(largest).toBeLessThanOrEqual(quantizationConfig ? 0.05 : 0)
      expect(await readdir(again)).toContain('tokenizer.json')
      loaded.dispose()
      third.dispose()
    }
    model.dispose()
  })

  it('does not leave an adapter out in silence', async () => {
    const model = createModel(config)
    const module = model.linears.get('model.layers.1.mlp.up_proj')!
    module.override = (x) => linear(x, module.weight)
    await expect(savePretrained(model, folder)).rejects.toThrow(/model\.layers\.1\.mlp\.up_proj.*Merge/s)
    await expect(savePretrained(model, folder, { maxShardSize: 'big' })).rejects.toThrow()
    expect(await readdir(folder)).toEqual([])
    model.dispose()
  })
})
