import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as tf from '@tensorflow/tfjs-core'
import { selectBackend } from '@tunesmith/backend'
import { generate, loadModel, savePretrained } from '@tunesmith/models'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { getPeftModel, loadPeftModel, type MergeReport, type PeftModel, savePeftModel } from './index'
import { tinyModel } from './testing'
import { gradientsOf, largestDifference, logitsOf, perturb, SEQUENCES } from './testing/measure'

let folder: string
beforeAll(async () => {
  await selectBackend()
  folder = await mkdtemp(join(tmpdir(), 'tunesmith-several-'))
})
afterAll(() => rm(folder, { recursive: true }))

/** `low` and `high` on the tiny model, both away from zero; `low` active. */
function two(model = tinyModel()): PeftModel {
  const peft = getPeftModel(model, { r: 2 }, { adapterName: 'low' })
  peft.addAdapter('high', { r: 8, targetModules: 'all-linear' })
  perturb(peft)
  peft.setAdapter('high')
  perturb(peft, 0.1, 8)
  return peft.setAdapter('low')
}

const at = (peft: PeftModel, name: string | string[]) => logitsOf(peft.setAdapter(name).model)

describe('several adapters', () => {
  it('stacked add up, whichever comes first, and train together', () => {
    const peft = two()
    const both = at(peft, ['low', 'high'])
    expect(largestDifference(both, at(peft, ['high', 'low']))).toBeLessThan(1e-4)
    expect(largestDifference(both, at(peft, 'high'))).toBeGreaterThan(1e-2)
    peft.setAdapter(['low', 'high'])
    expect(peft.activeAdapters).toEqual(['low', 'high'])
    const { grads } = gradientsOf(peft)
    const checkpointed = gradientsOf(peft, { gradientCheckpointing: true }).grads
    expect([...grads.keys()].filter((key) => key.startsWith('low/base_model.'))).toHaveLength(8)
    for (const [key, grad] of grads) expect(largestDifference(checkpointed.get(key)!, grad), key).toBeLessThan(1e-6)
  })

  it('are one per sequence in a batch, also while answers grow', async () => {
    const peft = two()
    const prompts = [...SEQUENCES, SEQUENCES[0]!]
    const names = ['high', '__base__', 'low', 'low']
    const options = { maxNewTokens: 6, stopTokenIds: [] }
    const mixed = await generate(peft.model, prompts, { ...options, adapterNames: names })
    for (const [i, prompt] of prompts.entries()) {
      const alone =
        names[i] === '__base__'
          ? await peft.withoutAdapter(() => generate(peft.model, [prompt], options))
          : await generate(peft.setAdapter(names[i]!).model, [prompt], options)
      expect(mixed[i], names[i]!).toEqual(alone[0])
    }
    expect(() => logitsOf(peft.model, SEQUENCES, ['low', 'other', 'low'])).toThrow('no adapter named other')
    expect(() => logitsOf(peft.model, SEQUENCES, ['low'])).toThrow('1 adapter names for 3 sequences')
    const plain = peft.unload()
    expect(() => logitsOf(plain, SEQUENCES, ['low', 'low', 'low'])).toThrow('the model has none')
  })

  it('have names of their own, and the last one taken leaves the base model', () => {
    const peft = two()
    expect(() => peft.addAdapter('low', {})).toThrow('cannot be the name')
    expect(() => peft.renameAdapter('low', 'high')).toThrow('cannot be the name')
    expect(() => peft.setAdapter('lwo')).toThrow('There are low, high')
    expect(() => peft.addAdapter('a/b', {})).toThrow('without a slash')
    const low = logitsOf(peft.model)
    peft.renameAdapter('low', 'first').deleteAdapter('high')
    expect([peft.adapterNames, peft.activeAdapters]).toEqual([['first'], ['first']])
    expect(logitsOf(peft.model)).toEqual(low)
    peft.deleteAdapter('first')
    expect(() => peft.config).toThrow('No adapter is active')
    expect(logitsOf(peft.model)).toEqual(logitsOf(tinyModel()))
  })

  it('leave no tensors when they are gone', () => {
    const model = tinyModel()
    const before = tf.memory().numTensors
    const peft = two(model)
    logitsOf(model)
    peft.merge()
    peft.unmerge()
    peft.addAdapter('dora', { useDora: true, modulesToSave: ['lm_head'], bias: 'all' })
    peft.setAdapter('dora')
    logitsOf(model)
    peft.unload()
    expect(tf.memory().numTensors).toBe(before)
  })

  it('that are merged stay while others come and go', async () => {
    const peft = two()
    const both = at(peft, ['low', 'high'])
    peft.setAdapter('low')
    peft.merge()
    peft.setAdapter(['low', 'high'])
    expect(largestDifference(logitsOf(peft.model), both)).toBeLessThan(1e-4)
    expect(() => peft.merge()).toThrow('low is merged')
    expect(() => peft.deleteAdapter('low')).toThrow('unmerge')
    expect(() => peft.addAdapter('new', {})).toThrow('unmerge')
    // Switched off means the base model, merged or not.
    const merged = logitsOf(peft.model)
    expect(await peft.withoutAdapter(() => logitsOf(peft.model))).toEqual(logitsOf(tinyModel()))
    expect(logitsOf(peft.model)).toEqual(merged)
    peft.unmerge()
    expect(logitsOf(peft.model)).toEqual(both)
  })

  it('of a head that is the embeddings too part the two when merged', () => {
    for (const targetModules of [['lm_head'], ['embed_tokens', 'lm_head']]) {
      const peft = getPeftModel(tinyModel({ config: { tie_word_embeddings: true } }), { targetModules })
      perturb(peft)
      const unmerged = logitsOf(peft.model)
      expect(largestDifference(logitsOf(peft.mergeAndUnload()), unmerged)).toBeLessThan(1e-4)
    }
    const peft = getPeftModel(tinyModel({ config: { tie_word_embeddings: true } }), { modulesToSave: ['embed_tokens'] })
    perturb(peft)
    const unmerged = logitsOf(peft.model)
    const merged = peft.mergeAndUnload()
    expect(merged.config.tieWordEmbeddings).toBe(false)
    expect(largestDifference(logitsOf(merged), unmerged)).toBeLessThan(1e-4)
  })
})

describe('merging', () => {
  it('says what storing the result loses, by format', () => {
    const losses: Record<string, number> = {}
    for (const [format, weights, to] of [
      ['f32', 'auto', 'f32'],
      ['bf16', 'auto', 'bf16'],
      ['f16', 'auto', 'f16'],
      ['nf4', 'auto', 'bf16'],
      ['nf4', 'requantize', 'nf4'],
      ['int8', 'requantize', 'int8'],
      ['nf4', 'float32', 'f32'],
    ] as const) {
      const peft = two(tinyModel({ format }))
      const unmerged = logitsOf(peft.model)
      const report = peft.merge({ weights })
      expect(report.adapters).toEqual(['low'])
      expect(report.modules).toHaveLength(4)
      for (const module of report.modules) expect(module).toMatchObject({ from: format, to })
      expect(report.worst).toBe(Math.max(...report.modules.map(({ relativeError }) => relativeError)))
      losses[`${format} ${weights}`] = report.worst
      expect(largestDifference(logitsOf(peft.model), unmerged)).toBeLessThan(
        report.worst === 0 ? 2e-4 : 300 * report.worst,
      )
      peft.unmerge()
      expect(logitsOf(peft.model)).toEqual(unmerged)
    }
    expect(losses['f32 auto']).toBe(0)
    expect(losses['nf4 float32']).toBe(0)
    for (const key of ['bf16 auto', 'nf4 auto']) expect(losses[key]).toBeLessThan(2e-3)
    expect(losses['f16 auto']).toBeLessThan(3e-4)
    expect(losses['int8 requantize']).toBeLessThan(2e-2)
    expect(losses['nf4 requantize']).toBeGreaterThan(2e-2)
    expect(losses['nf4 requantize']).toBeLessThan(0.15)
  })

  it('of embeddings that the head shares parts the two, also in the files', async () => {
    const peft = getPeftModel(tinyModel({ config: { tie_word_embeddings: true } }), { targetModules: ['embed_tokens'] })
    perturb(peft)
    const unmerged = logitsOf(peft.model)
    let report: MergeReport | undefined
    const merged = peft.mergeAndUnload({ onReport: (made) => (report = made) })
    expect(report!.modules.map(({ name }) => name)).toEqual(['model.embed_tokens'])
    expect(largestDifference(logitsOf(merged), unmerged)).toBeLessThan(1e-4)
    await savePretrained(merged, join(folder, 'parted'))
    const again = await loadModel(join(folder, 'parted'))
    expect(largestDifference(logitsOf(again), unmerged)).toBeLessThan(1e-4)
  })

  it('keeps trained heads and biases', async () => {
    const config = { model_type: 'qwen2', tie_word_embeddings: true }
    const peft = getPeftModel(tinyModel({ config }), { modulesToSave: ['lm_head'], bias: 'all' })
    perturb(peft)
    const unmerged = logitsOf(peft.model)
    const merged = peft.mergeAndUnload()
    expect(largestDifference(logitsOf(merged), unmerged)).toBeLessThan(1e-4)
    await savePretrained(merged, join(folder, 'kept'))
    expect(largestDifference(logitsOf(await loadModel(join(folder, 'kept'))), unmerged)).toBeLessThan(1e-4)
    merged.dispose()
  })
})

describe('what takes a part of the base weight', () => {
  it('gives it back, and is plain LoRA for the original base when asked', async () => {
    for (const initLoraWeights of ['pissa', 'pissa_niter_4', 'olora'] as const) {
      const model = tinyModel()
      const base = logitsOf(model)
      const peft = getPeftModel(model, { r: 4, loraAlpha: 6, initLoraWeights })
      expect(largestDifference(logitsOf(model), base)).toBeLessThan(2e-4)
      // Most of the weight is in the adapter now.
      expect(largestDifference(await peft.withoutAdapter(() => logitsOf(model)), base)).toBeGreaterThan(0.1)
      perturb(peft)
      await savePeftModel(peft, join(folder, initLoraWeights), { asPlainLora: true })
      const plain = await loadPeftModel(tinyModel(), join(folder, initLoraWeights))
      expect(plain.config).toMatchObject({ r: 8, loraAlpha: 12, initLoraWeights: true })
      expect(largestDifference(logitsOf(plain.model), logitsOf(model))).toBeLessThan(2e-4)
      expect(largestDifference(logitsOf(peft.unload()), base)).toBeLessThan(2e-4)
    }
  })

  it('quantizes it with LoftQ, closer to the original than without', () => {
    const base = logitsOf(tinyModel())
    const plain = logitsOf(tinyModel({ format: 'nf4' }))
    const model = tinyModel()
    const options = { r: 8, targetModules: 'all-linear', loraAlpha: 16, initLoraWeights: 'loftq' } as const
    getPeftModel(model, { ...options, loftqConfig: { loftqIter: 5 } })
    const formats = model.decoderLinears().map(({ weight }) => weight.format)
    expect(new Set(formats)).toEqual(new Set(['nf4']))
    const distance = (logits: Float32Array) => Math.hypot(...logits.map((value, i) => value - base[i]!))
    expect(distance(logitsOf(model))).toBeLessThan(0.8 * distance(plain))
    expect(() => getPeftModel(tinyModel({ format: 'nf4' }), options)).toThrow('full precision')
    expect(() => getPeftModel(tinyModel(), { useDora: true, initLoraWeights: 'pissa' })).toThrow('useDora')
    expect(() => getPeftModel(tinyModel(), { loftqConfig: {} })).toThrow('loftqConfig needs')
  })
})
