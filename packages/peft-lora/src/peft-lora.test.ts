import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as tf from '@tensorflow/tfjs-core'
import { selectBackend } from '@tunesmith/backend'
import { openSafetensors, type TensorToWrite, writeSafetensors } from '@tunesmith/hub'
import { CausalLM, createModel, type ForwardOptions, packSequences, parseModelConfig } from '@tunesmith/models'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import {
  adapterBaseModel,
  adapterTypes,
  getPeftModel,
  type LoraConfigOptions,
  loadPeftModel,
  lora,
  type PeftModel,
  registerAdapter,
  savePeftModel,
} from './index'

const config = {
  model_type: 'llama',
  vocab_size: 32,
  hidden_size: 16,
  intermediate_size: 24,
  num_hidden_layers: 2,
  num_attention_heads: 2,
  num_key_value_heads: 1,
  rms_norm_eps: 1e-5,
  initializer_range: 0.3,
}

const input = packSequences([[1, 2, 3, 4, 5, 6, 7]])
const logitsOf = (model: CausalLM, options?: ForwardOptions) =>
  tf.tidy(() => Array.from(model.logits(model.forward(input, options)).dataSync()))

/** A model with an adapter that is not zero. */
function adapted(options: LoraConfigOptions = {}): { model: CausalLM; peft: PeftModel; base: number[] } {
  const model = createModel(config, { seed: 2 })
  const base = logitsOf(model)
  const peft = getPeftModel(model, options)
  for (const variable of peft.parameters().values())
    tf.tidy(() => variable.assign(tf.randomNormal(variable.shape, 0, 0.3, 'float32', 4)))
  return { model, peft, base }
}

const close = (a: number[], b: number[], tolerance: number) =>
  expect(a.reduce((max, value, i) => Math.max(max, Math.abs(value - b[i]!)), 0)).toBeLessThan(tolerance)

beforeAll(async () => {
  await selectBackend()
})

describe('an adapter', () => {
  it('changes nothing before training, and nothing when switched off', async () => {
    const model = createModel(config, { seed: 2 })
    const before = logitsOf(model)
    getPeftModel(model, { targetModules: 'all-linear' })
    close(logitsOf(model), before, 1e-6)
    const { peft, base } = adapted()
    expect(logitsOf(peft.model)).not.toEqual(base)
    expect(await peft.withoutAdapter(() => logitsOf(peft.model))).toEqual(base)
    peft.unload()
    expect(logitsOf(peft.model)).toEqual(base)
  })

  it('merged gives what it gave unmerged', () => {
    const { model, peft } = adapted({ targetModules: 'all-linear', useRslora: true })
    const unmerged = logitsOf(model)
    const merged = peft.mergeAndUnload()
    close(logitsOf(merged), unmerged, 1e-4)
    expect(merged.attachment).toBeUndefined()
  })

  it('refuses to merge what is not finite, and changes nothing', () => {
    const { model, peft } = adapted()
    const [name, variable] = [...peft.parameters()].at(-1)!
    tf.tidy(() => variable.assign(tf.fill(variable.shape, Number.NaN)))
    expect(() => peft.mergeAndUnload()).toThrow(name.replace(/^base_model\.model\.|\.lora_.*$/g, ''))
    expect(model.linears.get('model.layers.0.self_attn.q_proj')!.override).toBeDefined()
  })

  it('drops only while training, by seed', () => {
    const { model } = adapted({ loraDropout: 0.5 })
    const still = logitsOf(model)
    const train = (seed: number) => logitsOf(model, { training: true, seed })
    expect(train(1)).toEqual(train(1))
    expect(train(1)).not.toEqual(train(2))
    expect(train(1)).not.toEqual(still)
    expect(logitsOf(model)).toEqual(still)
  })

  it("prints PEFT's line for TinyLlama", () => {
    const tinyLlama = parseModelConfig({
      model_type: 'llama',
      vocab_size: 32000,
      hidden_size: 2048,
      intermediate_size: 5632,
      num_hidden_layers: 22,
      num_attention_heads: 32,
      num_key_value_heads: 4,
    })
    // The sizes are enough; no billion weights are needed to count them.
    const model = new CausalLM(tinyLlama, {
      matrix: (_, outFeatures, inFeatures) => ({ format: 'f32', outFeatures, inFeatures, weight: undefined as never }),
      vector: (_, size) => tf.zeros([size]),
    })
    expect(getPeftModel(model, { r: 16 }).trainableParametersLine()).toBe(
      'trainable params: 2,252,800 || all params: 1,102,301,184 || trainable%: 0.2044',
    )
  })
})

describe('targets', () => {
  const targets = (options: LoraConfigOptions) => getPeftModel(createModel(config), options).targets

  it('are suffixes, one regular expression, all linears, without the excluded, in some layers', () => {
    expect(targets({})).toHaveLength(4)
    expect(targets({ targetModules: 'all-linear' })).toHaveLength(14)
    expect(targets({ targetModules: '.*\\.1\\..*(up|gate)_proj' })).toEqual([
      'model.layers.1.mlp.gate_proj',
      'model.layers.1.mlp.up_proj',
    ])
    expect(targets({ targetModules: ['self_attn.q_proj', 'lm_head'] })).toHaveLength(3)
    expect(targets({ targetModules: 'all-linear', excludeModules: ['down_proj'], layersToTransform: 0 })).toHaveLength(
      6,
    )
  })

  it('that match nothing are an error that names what there is', () => {
    expect(() => targets({ targetModules: ['q_proj', 'query'] })).toThrow(
      /\["query"\] match no linear layer.*q_proj, k_proj/,
    )
    expect(() => targets({ targetModules: 'x' })).toThrow('match no linear layer')
    expect(() => targets({ lora_alpha: 3 } as never)).toThrow('did you mean "loraAlpha"')
  })

  it('cannot have two adapters that do not know of each other', () => {
    const model = createModel(config)
    getPeftModel(model, {})
    expect(() => getPeftModel(model, {})).toThrow('already has an adapter')
  })
})

it('knows its kinds of adapters by name, and each only once', () => {
  expect(adapterTypes()).toEqual(expect.arrayContaining(['LORA', 'IA3', 'ADALORA', 'VERA', 'PROMPT_TUNING']))
  expect(registerAdapter(lora)).toBe(lora)
  expect(() => registerAdapter({ ...lora })).toThrow('There is an adapter of type LORA already')
  expect(() => getPeftModel(createModel(config), { peftType: 'LOAR' } as never)).toThrow('Known types are LORA')
})

describe('files', () => {
  let folder: string
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'tunesmith-lora-'))
  })
  afterEach(() => rm(folder, { recursive: true }))
  afterAll(() => vi.restoreAllMocks())

  const fresh = () => createModel(config, { seed: 2 })
  const editConfig = async (change: object) => {
    const file = join(folder, 'adapter_config.json')
    await writeFile(file, JSON.stringify({ ...JSON.parse(await readFile(file, 'utf8')), ...change }))
  }

  it('bring back the same adapter, number for number', async () => {
    const { model, peft } = adapted({ r: 3, loraAlpha: 5, targetModules: 'all-linear', rankPattern: { q_proj: 2 } })
    await savePeftModel(peft, folder)
    const loaded = fresh()
    await loadPeftModel(loaded, folder)
    expect(logitsOf(loaded)).toEqual(logitsOf(model))
  })

  it('that do not fit are an error listing every tensor, and leave the base model alone', async () => {
    const { peft, base } = adapted()
    await savePeftModel(peft, folder)
    const path = join(folder, 'adapter_model.safetensors')
    const file = await openSafetensors(path)
    const tensors: TensorToWrite[] = []
    for (const [name, { dtype, shape }] of file.tensors)
      tensors.push({ name, dtype, shape, data: await file.read(name) })
    await file.close()
    const [first, second, ...rest] = tensors as [TensorToWrite, TensorToWrite, ...TensorToWrite[]]
    const renamed = { ...first, name: 'other.lora_A.weight' }
    const reshaped = { ...second, shape: [second.shape.reduce((a, b) => a * b, 1)] }
    await writeSafetensors(path, [renamed, reshaped, ...rest], {})
    const model = fresh()
    const failure = loadPeftModel(model, folder)
    await expect(failure).rejects.toMatchObject({ code: 'incompatible', where: path })
    for (const part of [`missing: ${first.name}`, `not expected: ${renamed.name}`, `wrong shape: ${second.name}`])
      await expect(failure).rejects.toThrow(part)
    expect(logitsOf(model)).toEqual(base)
  })

  it('of another kind, or with what would change the numbers, are refused; harmless keys pass, others are named', async () => {
    await savePeftModel(adapted().peft, folder)
    await editConfig({ some_new_key: 3, other_new_key: null, peft_version: '0.99.0' })
    const warn = vi.spyOn(console, 'warn').mockImplementation(() => {})
    await loadPeftModel(fresh(), folder)
    expect(warn.mock.calls.flat().join()).toMatch(/"some_new_key" is not known/)
    expect(warn).toHaveBeenCalledTimes(1)
    await editConfig({ lora_bias: true })
    await expect(loadPeftModel(fresh(), folder)).rejects.toThrow('"lora_bias"')
    await editConfig({ peft_type: 'NO_SUCH' })
    await expect(loadPeftModel(fresh(), folder)).rejects.toMatchObject({ code: 'unsupported' })
  })

  it('with a beginning that PEFT draws anew at each load are loaded with a warning', async () => {
    const warn = vi
      .spyOn(console, 'warn')
      .mockReset()
      .mockImplementation(() => {})
    for (const init of ['pissa', 'pissa_niter_16']) {
      await savePeftModel(adapted({ initLoraWeights: init as never }).peft, folder)
      await loadPeftModel(fresh(), folder)
      expect(warn.mock.calls.flat().filter((line) => line.includes(`"init_lora_weights": "${init}"`))).toHaveLength(
        init === 'pissa' ? 0 : 1,
      )
    }
  })

  it('of PEFT 0.8 load without a warning, on their own base only', async () => {
    const { peft, base } = adapted({ r: 3 })
    const wanted = logitsOf(peft.model)
    await savePeftModel(peft, folder)
    const old = {
      alpha_pattern: {},
      auto_mapping: null,
      base_model_name_or_path: 'org/base',
      bias: 'none',
      fan_in_fan_out: false,
      inference_mode: true,
      init_lora_weights: true,
      layers_pattern: null,
      layers_to_transform: null,
      loftq_config: {},
      lora_alpha: 8,
      lora_dropout: 0.05,
      megatron_config: null,
      megatron_core: 'megatron.core',
      modules_to_save: null,
      peft_type: 'LORA',
      r: 3,
      rank_pattern: {},
      revision: null,
      target_modules: ['q_proj', 'v_proj'],
      task_type: 'CAUSAL_LM',
      use_rslora: false,
    }
    await writeFile(join(folder, 'adapter_config.json'), JSON.stringify(old))
    const warn = vi.spyOn(console, 'warn').mockReset()
    const model = fresh()
    await loadPeftModel(model, folder)
    expect(warn).not.toHaveBeenCalled()
    expect(logitsOf(model)).toEqual(wanted)
    const other = createModel({ ...config, hidden_size: 24, num_hidden_layers: 1 }, { seed: 2 })
    const failure = loadPeftModel(other, folder)
    await expect(failure).rejects.toThrow('wrong shape: base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight')
    await expect(failure).rejects.toThrow(
      'not expected: base_model.model.model.layers.1.self_attn.q_proj.lora_A.weight',
    )
    // It can get another adapter afterwards, and the base model is what it was.
    getPeftModel(other, {}).unload()
    expect(base).toEqual(logitsOf(fresh()))
  })

  it('that are not there, or do not name their base, say so', async () => {
    await expect(loadPeftModel(fresh(), join(folder, 'nothing'))).rejects.toMatchObject({ code: 'not_found' })
    await savePeftModel(adapted().peft, folder)
    await expect(adapterBaseModel(folder)).rejects.toThrow('which base model')
    await editConfig({ base_model_name_or_path: 'org/base' })
    expect(await adapterBaseModel(folder)).toBe('org/base')
  })
})
