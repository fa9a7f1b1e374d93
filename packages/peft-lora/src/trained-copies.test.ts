import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as tf from '@tensorflow/tfjs-core'
import { selectBackend } from '@tunesmith/backend'
import { openSafetensors, readFloats, tensorBytes, writeSafetensors } from '@tunesmith/hub'
import type { CausalLM } from '@tunesmith/models'
import { beforeAll, describe, expect, it } from 'vitest'
import { getPeftModel, loadAdapter, type PeftConfigOptions, type PeftModel, savePeftModel } from './index'
import { tinyModel } from './testing'
import { gradientsOf, largestDifference, logitsOf, perturb } from './testing/measure'

beforeAll(async () => {
  await selectBackend()
})

const fresh = (): CausalLM => tinyModel({ config: { model_type: 'qwen2', architectures: ['Qwen2ForCausalLM'] } })

/** Adapters `a`, `b`... on one model, each with values of its own. */
function withAdapters(...configs: PeftConfigOptions[]): PeftModel {
  const names = configs.map((_, i) => String.fromCharCode(97 + i))
  const peft = getPeftModel(fresh(), configs[0]!, { adapterName: 'a' })
  for (const [i, name] of names.entries()) {
    if (i > 0) peft.addAdapter(name, configs[i]!)
    peft.setAdapter(name)
    perturb(peft, 0.1, i)
  }
  peft.baseChanged()
  return peft.setAdapter('a')
}

const SAVED = ['lm_head', 'embed_tokens', 'model.norm', 'input_layernorm']

/** Stacks in which one adapter works on what another has trained a copy of. */
const stacks: Record<string, PeftConfigOptions[]> = {
  'biases and factors of their outputs': [{ r: 2, bias: 'all' }, { peftType: 'IA3' }],
  'factors below biases': [{ peftType: 'IA3' }, { r: 2, bias: 'lora_only' }],
  'a saved head and its LoRA': [
    { r: 2, modulesToSave: SAVED },
    { r: 2, targetModules: ['lm_head', 'embed_tokens'] },
  ],
  'a saved head and its DoRA': [
    { r: 2, modulesToSave: SAVED, bias: 'all' },
    { r: 2, targetModules: ['lm_head', 'q_proj'], useDora: true },
  ],
}

describe('trained copies of weights and biases', () => {
  for (const [name, configs] of Object.entries(stacks))
    it(`are what stacked adapters compute with, and are merged into: ${name}`, async () => {
      const peft = withAdapters(...configs)
      const { model } = peft
      const base = await peft.withoutAdapter(() => logitsOf(model))
      const alone = logitsOf(model)
      peft.setAdapter(['a', 'b'])
      const stacked = logitsOf(model)
      expect(largestDifference(stacked, alone)).toBeGreaterThan(1e-2)
      peft.merge()
      expect(largestDifference(logitsOf(model), stacked)).toBeLessThan(1e-4)
      expect(await peft.withoutAdapter(() => logitsOf(model))).toEqual(base)
      expect(largestDifference(logitsOf(model), stacked)).toBeLessThan(1e-4)
      peft.unmerge()
      expect(logitsOf(model)).toEqual(stacked)
      peft.setAdapter('a')
      expect(logitsOf(model)).toEqual(alone)
      peft.setAdapter(['a', 'b']).mergeAndUnload()
      expect(largestDifference(logitsOf(model), stacked)).toBeLessThan(1e-4)
      model.dispose()
    })

  it('go with their adapter when another one is active', () => {
    const peft = withAdapters({ r: 2, bias: 'all' }, { r: 2, modulesToSave: SAVED, bias: 'all' })
    peft.setAdapter('b')
    const wanted = logitsOf(peft.model)
    peft.setAdapter('a')
    peft.mergeAndUnload({ adapters: ['b'] })
    expect(largestDifference(logitsOf(peft.model), wanted)).toBeLessThan(1e-4)
    peft.model.dispose()
  })

  it('leave no tensor behind, merged or not', () => {
    const before = tf.memory().numTensors
    for (const configs of Object.values(stacks))
      for (const merge of [true, false]) {
        const peft = withAdapters(...configs)
        peft.setAdapter(['a', 'b'])
        logitsOf(peft.model)
        if (merge) peft.mergeAndUnload().dispose()
        else peft.merge() && peft.unload().dispose()
      }
    expect(tf.memory().numTensors).toBe(before)
  })

  it('are not taken for base weights that a file of another adapter holds', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'tunesmith-copies-'))
    try {
      const other = getPeftModel(fresh(), { r: 2, targetModules: ['embed_tokens', 'q_proj'] })
      perturb(other)
      const wanted = logitsOf(other.model)
      await savePeftModel(other, folder)
      // PEFT writes the embeddings themselves as well.
      const path = join(folder, 'adapter_model.safetensors')
      const file = await openSafetensors(path)
      const { embedTokens } = other.model
      const all = await Promise.all(
        [...file.tensors].map(async ([name, { shape }]) => ({ name, shape, values: await readFloats(file, name) })),
      )
      await file.close()
      const { outFeatures, inFeatures } = embedTokens.weight
      const values = embedTokens.weight.weight!.dataSync() as Float32Array
      all.push({
        name: 'base_model.model.model.embed_tokens.base_layer.weight',
        shape: [outFeatures, inFeatures],
        values,
      })
      await writeSafetensors(
        path,
        all.map(({ name, shape, values }) => ({ name, dtype: 'F32', shape, data: tensorBytes(values, 'F32') })),
        {},
      )
      const peft = withAdapters({ r: 2, modulesToSave: SAVED })
      const own = logitsOf(peft.model)
      await loadAdapter(peft, folder, 'b')
      expect(logitsOf(peft.model)).toEqual(own)
      peft.setAdapter('b')
      expect(logitsOf(peft.model)).toEqual(wanted)
    } finally {
      await rm(folder, { recursive: true })
    }
  })

  for (const [name, options] of Object.entries({ LoRA: {}, DoRA: { useDora: true }, dropout: { loraDropout: 0.5 } }))
    it(`have the same gradients in blocks that are computed again: ${name}`, () => {
      const peft = withAdapters({ r: 2, bias: 'all', modulesToSave: SAVED, ...options })
      const [plain, again] = [false, true].map((gradientCheckpointing) =>
        gradientsOf(peft, { training: true, seed: 3, gradientCheckpointing }),
      )
      for (const [key, values] of plain!.grads) {
        expect(Math.max(...values.map(Math.abs)), key).toBeGreaterThan(0)
        expect(largestDifference(again!.grads.get(key)!, values), key).toBeLessThan(1e-6)
      }
    })
})

it('a head that has an update is not given trained rows by the embeddings it is tied to', () => {
  const model = tinyModel({ config: { tie_word_embeddings: true } })
  const options = { r: 2, targetModules: ['q_proj', 'lm_head'], trainableTokenIndices: [3] }
  expect(() => getPeftModel(model, options)).toThrow(/lm_head is in targetModules.*Choose one/)
  model.dispose()
})
