import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import * as tf from '@tensorflow/tfjs-core'
import { selectBackend } from '@tunesmith/backend'
import { openSafetensors, readJsonFile, writeSafetensors } from '@tunesmith/hub'
import { loadModel } from '@tunesmith/models'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { configFromJson } from './config-json'
import { addWeightedAdapter, getPeftModel, loadPeftModel, type PeftModel, savePeftModel } from './index'
import { patternValue } from './target-modules'
import { tinyModel } from './testing'
import { largestDifference, logitsOf } from './testing/measure'

interface Golden {
  names: string[]
  patterns: [keys: string[], matched: string[]][]
  configs: Record<string, Record<string, unknown>>
  weighted: {
    sources: Record<string, { r: number; lora_alpha: number; rank_pattern: object; alpha_pattern?: object }>
    inputs: Record<string, [number[], number[]]>
    results: (Record<string, unknown> & { updates: Record<string, number[]> })[]
  }
  ids: number[]
  adapters: Record<string, AdapterGolden>
}

interface AdapterGolden {
  family: string
  config: Record<string, unknown>
  dtype: 'F32' | 'F64'
  tensors: Record<string, [shape: number[], values: number[]]>
  trained: string[]
  logits: number[]
}

const fixture = (path: string) => fileURLToPath(new URL(path, import.meta.url))
const golden = await readJsonFile<Golden>(fixture('fixtures/adapters.golden.json'))

let folder: string
beforeAll(async () => {
  await selectBackend()
  folder = await mkdtemp(join(tmpdir(), 'tunesmith-adapters-'))
})
afterAll(() => rm(folder, { recursive: true }))

describe("patterns match as PEFT's", () => {
  for (const [keys, matched] of golden.patterns)
    it(keys.join(' and '), () => {
      const patterns = Object.fromEntries(keys.map((key, i) => [key, i]))
      const found = golden.names.map((name) => patternValue(name, patterns, -1))
      // PEFT gives the name itself where nothing matches.
      expect(found).toEqual(matched.map((key) => keys.indexOf(key)))
    })
})

it("knows every key of PEFT's files", () => {
  for (const [kind, config] of Object.entries(golden.configs)) {
    const lines: string[] = []
    configFromJson(config, kind, (line) => lines.push(line))
    expect(lines).toEqual([])
  }
})

describe('adapters with patterns are combined as PEFT does it', () => {
  const { sources, inputs, results } = golden.weighted
  let peft: PeftModel
  beforeAll(() => {
    const config = { hidden_size: 6, intermediate_size: 5, num_hidden_layers: 1, num_attention_heads: 1 }
    const model = tinyModel({ config: { ...config, num_key_value_heads: 1 } })
    for (const [name, { r, lora_alpha, rank_pattern, alpha_pattern = {} }] of Object.entries(sources)) {
      const options = {
        r,
        loraAlpha: lora_alpha,
        targetModules: ['up_proj', 'down_proj'],
        rankPattern: rank_pattern as Record<string, number>,
        alphaPattern: alpha_pattern as Record<string, number>,
      }
      if (peft) peft.addAdapter(name, options)
      else peft = getPeftModel(model, options, { adapterName: name })
      for (const [module, { layer }] of peft.adapter(name).layers) {
        const values = inputs[`${name} ${module.name.split('.').at(-1)}`]!
        for (const [i, variable] of Object.values(layer.parameters).entries())
          tf.tidy(() => variable.assign(tf.tensor(values[i]!, variable.shape)))
      }
    }
  })

  for (const [i, { updates, adapters, weights, combination_type, density, svd_rank }] of results.entries())
    it(`${combination_type} of ${(adapters as string[]).join(', ')}`, () => {
      addWeightedAdapter(peft, {
        adapters: adapters as string[],
        weights: weights as number[],
        adapterName: `new${i}`,
        combinationType: combination_type as 'linear',
        ...(density !== undefined && { density: density as number }),
        ...(svd_rank !== undefined && { svdRank: svd_rank as number }),
      })
      for (const [module, { layer }] of peft.adapter(`new${i}`).layers) {
        const [a, b] = Object.values(layer.parameters) as tf.Variable<tf.Rank.R2>[]
        const update = tf.tidy(() => tf.matMul(b!, a!).dataSync())
        expect(largestDifference(update, updates[module.name.split('.').at(-1)!]!)).toBeLessThan(5e-5)
      }
    })
})

describe("PEFT's adapters", () => {
  /** The golden adapter as PEFT's folder; gives the model with it. */
  async function load({ family, config, dtype, tensors }: AdapterGolden): Promise<PeftModel> {
    await writeFile(join(folder, 'adapter_config.json'), JSON.stringify(config))
    const files = Object.entries(tensors).map(([name, [shape, values]]) => {
      const { buffer } = dtype === 'F64' ? Float64Array.from(values) : Float32Array.from(values)
      return { name, dtype, shape, data: new Uint8Array(buffer) }
    })
    await writeSafetensors(join(folder, 'adapter_model.safetensors'), files, {})
    const model = await loadModel(fixture(`../../models/src/fixtures/${family}`), { dtype: 'float32' })
    return loadPeftModel(model, folder)
  }
  const lastLogits = ({ model }: PeftModel) => {
    const logits = logitsOf(model, [golden.ids])
    return logits.slice(-model.config.vocabSize)
  }

  for (const [name, adapter] of Object.entries(golden.adapters))
    it(`${name}: the same logits, trained, saved and merged alike`, async () => {
      const peft = await load(adapter)
      expect(largestDifference(lastLogits(peft), adapter.logits)).toBeLessThan(2e-4)

      // PEFT counts what is tied twice, as parameters of one memory.
      const tied = adapter.config.ensure_weight_tying === true
      const trained = adapter.trained
        .map((key) => key.replace('.modules_to_save', ''))
        .filter((key) => !tied || !key.includes('.lm_head.'))
      expect([...peft.parameters().keys()].sort()).toEqual(trained)

      const saved = join(folder, 'saved')
      await savePeftModel(peft, saved)
      const file = await openSafetensors(join(saved, 'adapter_model.safetensors'))
      expect([...file.tensors.keys()].sort()).toEqual(Object.keys(adapter.tensors).sort())
      await file.close()
      const fresh = await loadModel(fixture(`../../models/src/fixtures/${adapter.family}`), { dtype: 'float32' })
      const again = await loadPeftModel(fresh, saved)
      expect(lastLogits(again)).toEqual(lastLogits(peft))

      const before = lastLogits(peft)
      peft.merge()
      expect(largestDifference(lastLogits(peft), before)).toBeLessThan(2e-4)
      peft.mergeAndUnload().dispose()
      again.unload().dispose()
    })

  it('a new one trains head and embeddings as one, by either name', async () => {
    for (const targetModules of [['lm_head'], ['embed_tokens']]) {
      const model = await loadModel(fixture('../../models/src/fixtures/qwen2'), { dtype: 'float32' })
      const peft = getPeftModel(model, { r: 2, targetModules, ensureWeightTying: true })
      expect(peft.targets).toEqual(['model.embed_tokens', 'lm_head'])
      expect([...peft.parameters().keys()]).toEqual([
        'base_model.model.model.embed_tokens.lora_embedding_A',
        'base_model.model.model.embed_tokens.lora_embedding_B',
      ])
      peft.unload().dispose()
    }
    const model = await loadModel(fixture('../../models/src/fixtures/qwen2'), { dtype: 'float32' })
    const saved = getPeftModel(model, { r: 2, modulesToSave: ['lm_head'], ensureWeightTying: true })
    expect([...saved.parameters().keys()]).toContain('base_model.model.model.embed_tokens.weight')
    expect(model.lmHead.weight).toBe(model.embedTokens.weight)
    saved.unload()
    const dora = { r: 2, targetModules: ['lm_head'], ensureWeightTying: true, useDora: true }
    expect(() => getPeftModel(model, dora)).toThrow('cannot be tied')
    expect(() => getPeftModel(model, { initLoraWeights: 'mica' })).toThrow('cannot begin as "mica"')
    model.dispose()
  })

  it('whose tied tensors differ are refused', async () => {
    const adapter = structuredClone(golden.adapters['tied, by the head']!)
    adapter.tensors['base_model.model.lm_head.lora_A.weight']![1][5]! += 1
    await expect(load(adapter)).rejects.toThrow('lm_head.lora_A.weight is tied to another and has other values')
  })

  it('that are not where PEFT puts them, or of another kind, say what they are', async () => {
    const { config } = golden.adapters.float64!
    const empty = await mkdtemp(join(folder, 'empty-'))
    const model = tinyModel()
    const put = (name: string, content: unknown) => writeFile(join(empty, name), JSON.stringify(content))
    await put('adapter_config.json', config)
    await expect(loadPeftModel(model, empty)).rejects.toMatchObject({
      code: 'not_found',
      message: /adapter_model.safetensors/,
    })
    await put('adapter_model.bin', 0)
    await expect(loadPeftModel(model, empty)).rejects.toThrow('Load it in PEFT and save it again')
    await put('adapter_config.json', { fine_tune_type: 'lora', lora_parameters: { rank: 8 }, num_layers: 4 })
    await expect(loadPeftModel(model, empty)).rejects.toThrow('an adapter of MLX')
    await put('adapter_config.json', { model_type: 'llama' })
    await expect(loadPeftModel(model, empty)).rejects.toThrow('of a model and not of an adapter')
    for (const content of [null, [], 'LORA', 4, {}]) {
      await put('adapter_config.json', content)
      await expect(loadPeftModel(model, empty)).rejects.toMatchObject({ code: 'invalid_file' })
    }
    model.dispose()
  })

  it('that claim to be larger than their file, or whose expressions take long, are refused at once', async () => {
    const adapter = golden.adapters.float64!
    const start = performance.now()
    for (const change of [{ r: 1e9 }, { r: 200_000 }, { rank_pattern: { q_proj: 1e9 } }])
      await expect(load({ ...adapter, config: { ...adapter.config, ...change } })).rejects.toMatchObject({
        code: 'incompatible',
      })
    const slow = { target_modules: '([a-z.0-9_]|[a-z.0-9_])+!' }
    await expect(load({ ...adapter, config: { ...adapter.config, ...slow } })).rejects.toThrow('takes too long')
    const wrong = { target_modules: '(q_proj' }
    await expect(load({ ...adapter, config: { ...adapter.config, ...wrong } })).rejects.toThrow('cannot be used')
    expect(performance.now() - start).toBeLessThan(3000)
    expect(() => getPeftModel(tinyModel(), { r: 1e9 })).toThrow(expect.objectContaining({ code: 'incompatible' }))
    expect(() => getPeftModel(tinyModel(), { r: 1000, initLoraWeights: 'pissa' })).toThrow('has no 1000 directions')
  })

  it('with a beginning that nobody knows is refused', () => {
    const { config } = golden.adapters.mica!
    const init = (init_lora_weights: unknown) => configFromJson({ ...config, init_lora_weights }, 'a.json').config
    for (const known of [
      'mica',
      'MiCA',
      'olora',
      'OLoRA',
      'eva',
      'orthogonal',
      'pissa_niter_4',
      'gaussian',
      true,
      false,
    ])
      expect(init(known)).toBeDefined()
    for (const unknown of ['corda', 'lora_ga', 'of_tomorrow'])
      expect(() => init(unknown)).toThrow(expect.objectContaining({ code: 'invalid_options' }))
  })
})
