import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import * as tf from '@tensorflow/tfjs-core'
import { selectBackend } from '@tunesmith/backend'
import { openSafetensors, readJsonFile, type TensorToWrite, writeSafetensors } from '@tunesmith/hub'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type CausalLM, createModel, loadModel, packSequences, parseModelConfig } from './index'
import { inverseFrequencies } from './rope'
import { FAMILIES } from './testing/families'
import { largestDifference } from './testing/golden-tensors'

const fixtures = fileURLToPath(new URL('fixtures', import.meta.url))

interface Golden {
  defaults: Record<string, Record<string, unknown>>
  leftOut: Record<string, { removed: string[]; inputIds: number[]; logits: number[] }>
  ropes: Record<string, { config: Record<string, unknown>; frequencies: number[]; attentionFactor: number }>
}

let golden: Golden
let folder: string
beforeAll(async () => {
  await selectBackend()
  golden = await readJsonFile<Golden>(join(fixtures, 'config.golden.json'))
  folder = await mkdtemp(join(tmpdir(), 'tunesmith-config-'))
})
afterAll(() => rm(folder, { recursive: true }))

const families = FAMILIES.map(({ modelType }) => modelType)
const silent = () => {}

/** What is said of class defaults that contradict each other, or that are not done here. */
const SAID: Record<string, string[]> = {
  starcoder2: ['bos_token_id', 'eos_token_id'].map(
    (key) => `config.json: "${key}" is 50256, outside of the vocabulary of 49152, and counts as none`,
  ),
  gpt2: [
    'config.json: dropout within the model ("attn_pdrop" 0.1, "embd_pdrop" 0.1, "resid_pdrop" 0.1) is not applied in training; an adapter\'s is',
  ],
}

/** Parses a configuration; gives it and what was said. */
function parse(config: object) {
  const lines: string[] = []
  return { config: parseModelConfig(config, 'config.json', (line) => lines.push(line)), lines }
}

const logitsOf = (model: CausalLM, ids: number[]) =>
  tf.tidy(() => {
    const all = model.logits(model.forward(packSequences([ids])))
    return tf.slice(all, [ids.length - 1, 0], [1, -1]).dataSync() as Float32Array
  })

describe("keys that are left out have transformers' values", () => {
  for (const family of families)
    it(`${family}: every key of the class`, () => {
      const all = golden.defaults[family]!
      const { config, lines } = parse({ model_type: family })
      const has = (...keys: string[]) => keys.map((key) => all[key]).find((value) => value !== undefined)
      const window = typeof all.sliding_window === 'number' ? all.sliding_window : 0
      const layers = has('num_hidden_layers', 'n_layer') as number
      const types = (all.layer_types ?? new Array(layers).fill('sliding_attention')) as string[]
      const hiddenSize = has('hidden_size', 'n_embd') as number
      const heads = has('num_attention_heads', 'n_head') as number
      const headDim = (all.head_dim ?? hiddenSize / heads) as number
      const inside = (ids: unknown) =>
        [(ids ?? []) as number | number[]].flat().filter((id) => id < (all.vocab_size as number))
      const activations: Record<string, string> = { gelu_pytorch_tanh: 'gelu_tanh', gelu_new: 'gelu_tanh' }
      const activation = has('hidden_act', 'hidden_activation', 'activation_function') as string
      expect(config).toMatchObject({
        vocabSize: all.vocab_size,
        hiddenSize,
        intermediateSize: has('intermediate_size', 'n_inner') ?? 4 * hiddenSize,
        numHiddenLayers: layers,
        numAttentionHeads: heads,
        numKeyValueHeads: all.num_key_value_heads ?? heads,
        headDim,
        maxPositionEmbeddings: has('max_position_embeddings', 'n_positions'),
        rmsNormEps: has('rms_norm_eps', 'layer_norm_eps', 'norm_epsilon', 'layer_norm_epsilon'),
        hiddenAct: activations[activation] ?? activation,
        attentionScale: all.attention_multiplier ?? ((all.query_pre_attn_scalar ?? headDim) as number) ** -0.5,
        attentionSoftcap: all.attn_logit_softcapping ?? 0,
        logitSoftcap: all.final_logit_softcapping ?? 0,
        logitScale: all.logit_scale ?? 1 / ((all.logits_scaling ?? 1) as number),
        residualScale: all.residual_multiplier ?? 1,
        embeddingScale: all.embedding_multiplier ?? 1,
        parallelBlock: all.use_parallel_residual ?? false,
        tieWordEmbeddings: all.tie_word_embeddings,
        attentionBias: has('attention_bias', 'use_bias') ?? false,
        mlpBias: has('mlp_bias', 'use_bias') ?? false,
        initializerRange: all.initializer_range,
        bosTokenId: inside(all.bos_token_id)[0],
        eosTokenIds: inside(all.eos_token_id),
        padTokenId: inside(all.pad_token_id)[0],
      })
      expect(config.layers.map((layer) => layer.window)).toEqual(
        types.map((type) => (type === 'sliding_attention' ? window : 0)),
      )
      const noRope = all.no_rope_layers as number[] | undefined
      const ropes = (all.rope_parameters ?? {}) as Record<string, Record<string, unknown>>
      for (const { index, rope, window } of config.layers) {
        const own = ropes[types[index]!] ?? ropes
        const without = noRope ? !noRope[index] : family === 'gpt2' || (family === 'cohere2' && window === 0)
        const part = (own.partial_rotary_factor ?? 1) as number
        const { rope_theta: theta, rope_type: type } = own
        if (without) expect(rope).toBeUndefined()
        else expect(rope).toMatchObject({ theta, type, rotaryDim: headDim * part })
      }
      expect(lines).toEqual([])
    })

  for (const family of families)
    it(`${family}: transformers writes no key that is not known, and its values mean the same`, () => {
      const { config, lines } = parse({ ...golden.defaults[family], model_type: family })
      expect(lines).toEqual(SAID[family] ?? [])
      const { raw: _, ...said } = config
      const { raw: __, ...left } = parse({ model_type: family }).config
      expect(said).toEqual(left)
    })

  for (const family of families)
    it(`${family}: logits of a tiny model`, async () => {
      const { removed, inputIds, logits } = golden.leftOut[family]!
      const config = await readJsonFile<Record<string, unknown>>(join(fixtures, family, 'config.json'))
      for (const key of removed) delete config[key]
      await writeFile(join(folder, 'config.json'), JSON.stringify(config))
      const weights = await readFile(join(fixtures, family, 'model.safetensors'))
      await writeFile(join(folder, 'model.safetensors'), weights)
      const model = await loadModel(folder, { dtype: 'float32', onWarning: silent })
      expect(largestDifference(logitsOf(model, inputIds), logits)).toBeLessThan(1e-4)
      model.dispose()
    })
})

describe('rotary positions', () => {
  const names = [
    ...['default', 'theta beside', 'theta inside wins', 'linear, old key', 'rope_scaling wins over rope_parameters'],
    ...['an empty rope_scaling does not', 'yarn', 'yarn, truncate false', 'yarn, truncate true', 'yarn, betas'],
    ...['yarn, attention factor', 'yarn, mscale', 'yarn, mscale alone', 'yarn, factor null'],
    ...['yarn, original length beside', 'yarn, original length in both places', 'yarn, original length nowhere'],
    ...['llama3', 'llama3, original length beside', 'llama3, original length in both places', 'dynamic'],
    'dynamic, original length counts for nothing',
    ...['longrope', 'longrope, original length beside', 'longrope, factor', 'longrope, attention factor'],
    ...['proportional', 'proportional, factor'],
  ]
  it('are in all cases of the golden file', () => expect(Object.keys(golden.ropes)).toEqual(names))

  for (const name of names)
    it(name, () => {
      const { config, frequencies, attentionFactor } = golden.ropes[name]!
      const { rope } = parse(config).config
      const own = inverseFrequencies(rope, 300)
      for (const [i, value] of own.entries())
        expect(Math.abs(value - frequencies[i]!)).toBeLessThanOrEqual(2e-6 * frequencies[i]!)
      expect(own).toHaveLength(frequencies.length)
      expect(rope.attentionFactor).toBeCloseTo(attentionFactor, 12)
    })

  const rope = (rope_parameters: object, more: object = {}) => parse({ model_type: 'llama', rope_parameters, ...more })

  it('name keys that their type does not have', () => {
    expect(rope({ rope_type: 'linear', factor: 2, beta_fast: 4, made_up: 1 }).lines).toEqual([
      'config.json: rope_parameters of the type "linear": the keys "beta_fast", "made_up" are not known and were not used',
    ])
    expect(rope({ rope_type: 'default', factor: 2 }).lines.join()).toMatch(/"default": the key "factor"/)
  })

  it('that lack a parameter, or are of another kind, are refused', () => {
    expect(() => rope({ rope_type: 'linear' })).toThrow('"linear" need factor')
    expect(() => rope({ rope_type: 'llama3', factor: 8 })).toThrow('low_freq_factor, high_freq_factor')
    expect(() => rope({ rope_type: 'longrope', short_factor: [1] })).toThrow('"longrope" need long_factor')
    const one = { rope_type: 'longrope', short_factor: [1], long_factor: [2] }
    expect(() => rope(one)).toThrow('"short_factor" has 1 entries for 64 pairs')
    expect(() => rope({ full_attention: { rope_type: 'default' } })).toThrow('in all layers')
    expect(() => rope({ rope_type: 'toString' })).toThrow('"toString" are not supported')
    expect(() => rope({ rope_type: 'linear', factor: 2 }, { model_type: 'phi3' })).toThrow('Supported here are default')
    expect(() => rope({}, { head_dim: 7 })).toThrow('turn pairs')
  })

  it('on a part of each head only where the family has that', () => {
    expect(parse({ model_type: 'phi3', partial_rotary_factor: 0.5 }).config.rope.rotaryDim).toBe(48)
    const { config, lines } = parse({ model_type: 'llama', partial_rotary_factor: 0.5 })
    expect(config.rope.rotaryDim).toBe(128)
    expect(lines.join()).toMatch(/partial_rotary_factor/)
  })
})

describe('a configuration', () => {
  it('names the keys that nobody knows in one line', () => {
    expect(parse({ model_type: 'llama', logits_scaling: 8, sliding_window: 5, empty: null, off: false }).lines).toEqual(
      ['config.json: the keys "logits_scaling", "sliding_window" are not known and were not used'],
    )
    // Mistral of transformers does not read it either.
    expect(parse({ model_type: 'mistral', layer_types: ['full_attention'] }).lines.join()).toMatch(/layer_types/)
    expect(parse({ model_type: 'gemma2', hidden_act: 'gelu', sliding_window_size: 4096 }).lines).toEqual([])
  })

  it('with what would change results is refused by name', () => {
    const config = { model_type: 'gemma2', attention_dropout: 0.1, use_bidirectional_attention: true }
    expect(() => parse(config)).toThrow(/"attention_dropout" is 0.1: dropout.*"use_bidirectional_attention" is true/)
    expect(parse({ model_type: 'phi3', attention_dropout: 0, embd_pdrop: 0, resid_pdrop: 0 }).lines).toEqual([])
    expect(() => parse({ model_type: 'qwen2', layer_types: ['chunked_attention'] })).toThrow('layer_types')
    expect(() => parse({ model_type: 'qwen2', layer_types: ['full_attention'] })).toThrow('1 entries for 32 layers')
  })

  it('of something else says what it is', () => {
    expect(() => parse({ model_type: 'qwen9', hidden_size: 8 })).toThrow(
      /The model type "qwen9" is not supported.*The nearest that is, is qwen2\. Supported are/,
    )
    const multimodal = { model_type: 'paligemma', text_config: { hidden_size: 8 }, vision_config: {} }
    expect(() => parse(multimodal)).toThrow('"paligemma", a model of more than text (text_config and vision_config),')
    expect(() => parse({ model_type: 'llama', vision_config: { depth: 1 } })).toThrow('one of text alone')
    expect(() => parse({ model_type: 'gpt2', n_embd: '768' })).toThrow('"n_embd"')
    expect(() => parse({ peft_type: 'LORA' })).toThrow('an adapter and not of a model')
    expect(() => parse({ fine_tune_type: 'lora' })).toThrow('an adapter and not of a model')
    for (const raw of [null, [], 'llama', 3])
      expect(() => parse(raw as never)).toThrow(expect.objectContaining({ code: 'invalid_file' }))
  })

  it('with a token id outside of the vocabulary loads, and says so', () => {
    const { config, lines } = parse({ model_type: 'llama', pad_token_id: -1, eos_token_id: [2, 99_999] })
    expect(config).toMatchObject({ padTokenId: undefined, eosTokenIds: [2] })
    expect(lines).toEqual([
      'config.json: "eos_token_id" is 99999, outside of the vocabulary of 32000, and counts as none',
      'config.json: "pad_token_id" is -1, outside of the vocabulary of 32000, and counts as none',
    ])
  })

  it('of an absurd size is refused at once', async () => {
    const start = performance.now()
    const sizes = { vocab_size: 8, hidden_size: 8, intermediate_size: 8, num_hidden_layers: 2, num_attention_heads: 2 }
    expect(() => parse({ model_type: 'llama', num_hidden_layers: 1e9 })).toThrow('num_hidden_layers')
    expect(() => createModel({ ...sizes, model_type: 'llama', num_hidden_layers: 1e6 })).toThrow('num_hidden_layers')
    expect(() => createModel({ ...sizes, model_type: 'llama', vocab_size: 2 ** 45 })).toThrow(
      expect.objectContaining({ code: 'out_of_memory' }),
    )
    const config = await readJsonFile<object>(join(fixtures, 'llama', 'config.json'))
    await writeFile(join(folder, 'model.safetensors'), await readFile(join(fixtures, 'llama', 'model.safetensors')))
    for (const wrong of [{ num_hidden_layers: 60_000 }, { vocab_size: 1e9 }, { hidden_size: 2 ** 40 }]) {
      await writeFile(join(folder, 'config.json'), JSON.stringify({ ...config, ...wrong }))
      await expect(loadModel(folder)).rejects.toMatchObject({ code: 'incompatible' })
    }
    expect(performance.now() - start).toBeLessThan(1000)
  })

  it('needs its sizes where a model is made fresh', () => {
    expect(() => createModel({ model_type: 'llama', hidden_size: 8 })).toThrow(/needs vocab_size.*num_attention_heads/)
  })
})

describe('a head that config.json ties to the embeddings', () => {
  const sizes = {
    model_type: 'llama',
    vocab_size: 12,
    hidden_size: 8,
    intermediate_size: 8,
    num_hidden_layers: 1,
    num_attention_heads: 2,
    tie_word_embeddings: true,
  }

  /** Loads a tied model after its tensors were changed. */
  async function loadWith(change: (tensors: TensorToWrite[]) => TensorToWrite[]) {
    const { savePretrained } = await import('./index')
    const model = createModel(sizes, { seed: 3 })
    await savePretrained(model, folder)
    const path = join(folder, 'model.safetensors')
    const file = await openSafetensors(path)
    const tensors: TensorToWrite[] = []
    for (const [name, { dtype, shape }] of file.tensors)
      tensors.push({ name, dtype, shape, data: await file.read(name) })
    await file.close()
    await writeSafetensors(path, change(tensors), {})
    const lines: string[] = []
    const loaded = await loadModel(folder, { onWarning: (line) => lines.push(line) })
    return { model, loaded, lines }
  }
  const head = ({ name, ...rest }: TensorToWrite, data: TensorToWrite['data']): TensorToWrite => ({
    ...rest,
    name: 'lm_head.weight',
    data,
  })
  const isEmbeddings = ({ name }: TensorToWrite) => name === 'model.embed_tokens.weight'

  it('stays where the file has another, with a warning', async () => {
    const values = Float32Array.from({ length: 96 }, (_, i) => Math.sin(i))
    const { loaded, lines } = await loadWith((tensors) => [
      ...tensors,
      head(tensors.find(isEmbeddings)!, new Uint8Array(values.buffer)),
    ])
    expect(lines).toHaveLength(1)
    expect(lines[0]).toMatch(/lm_head.weight with other values, which is kept/)
    expect(loaded.config.tieWordEmbeddings).toBe(false)
    expect(loaded.config.raw.tie_word_embeddings).toBe(false)
    expect(loaded.lmHead.weight).not.toBe(loaded.embedTokens.weight)
    expect(Array.from(loaded.lmHead.weight.weight.dataSync())).toEqual(Array.from(values))
  })

  it('is one matrix where the file has it twice, or under the name of the head alone', async () => {
    for (const change of [
      (tensors: TensorToWrite[]) => [...tensors, head(tensors.find(isEmbeddings)!, tensors.find(isEmbeddings)!.data)],
      (tensors: TensorToWrite[]) =>
        tensors.map((tensor) => (isEmbeddings(tensor) ? head(tensor, tensor.data) : tensor)),
    ]) {
      const { model, loaded, lines } = await loadWith(change)
      expect(lines).toEqual([])
      expect(loaded.lmHead.weight).toBe(loaded.embedTokens.weight)
      expect(logitsOf(loaded, [1, 2, 3])).toEqual(logitsOf(model, [1, 2, 3]))
    }
  })
})
