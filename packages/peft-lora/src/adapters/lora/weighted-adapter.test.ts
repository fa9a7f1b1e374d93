import * as tf from '@tensorflow/tfjs-core'
import { selectBackend } from '@tunesmith/backend'
import { beforeAll, beforeEach, describe, expect, it } from 'vitest'
import fixture from '../../fixtures/weighted.json' with { type: 'json' }
import { addWeightedAdapter, getPeftModel, type PeftModel, type WeightedAdapterOptions } from '../../index'
import { tinyModel } from '../../testing'
import { largestDifference, logitsOf, perturb } from '../../testing/measure'

const MODULE = 'model.layers.0.mlp.up_proj'
let peft: PeftModel

function factors(name: string): { a: tf.Variable; b: tf.Variable } {
  const [a, b] = [...peft.adapter(name).layers.values()].flatMap(({ layer }) => Object.values(layer.parameters))
  return { a: a!, b: b! }
}

beforeAll(async () => {
  await selectBackend()
})

describe("PEFT's combinations, number for number", () => {
  beforeEach(() => {
    const config = { hidden_size: 6, intermediate_size: 5, num_hidden_layers: 1, num_attention_heads: 1 }
    const model = tinyModel({ config: { ...config, num_key_value_heads: 1 } })
    peft = getPeftModel(model, { r: 2, loraAlpha: 3, targetModules: ['up_proj'] }, { adapterName: 'one' })
    peft.addAdapter('two', { r: 2, loraAlpha: 8, targetModules: ['up_proj'], useRslora: true })
    peft.addAdapter('three', { r: 3, loraAlpha: 3, targetModules: ['up_proj'] })
    for (const [name, { a, b }] of Object.entries(fixture.inputs)) {
      const made = factors(name)
      tf.tidy(() => made.a.assign(tf.tensor(a, made.a.shape)))
      tf.tidy(() => made.b.assign(tf.tensor(b, made.b.shape)))
    }
  })

  for (const { keep, a, b, update, r, scaling, ...options } of fixture.results)
    it(`${options.combinationType} of ${options.adapters.join(' and ')}, ${options.majoritySignMethod}`, () => {
      addWeightedAdapter(peft, {
        ...(options as WeightedAdapterOptions),
        adapterName: 'new',
        keep({ adapter, module, part }) {
          expect(module).toBe(MODULE)
          const at = options.adapters.indexOf(adapter) + (part === 'B' ? options.adapters.length : 0)
          return keep[at]!
        },
      })
      const made = factors('new')
      expect(made.a.shape[0]).toBe(r)
      expect(scaling).toBe(1)
      if (a) expect(largestDifference(made.a.dataSync(), a)).toBeLessThan(1e-5)
      if (b) expect(largestDifference(made.b.dataSync(), b)).toBeLessThan(1e-5)
      const product = tf.tidy(() =>
        tf.matMul(made.b as tf.Variable<tf.Rank.R2>, made.a as tf.Variable<tf.Rank.R2>).dataSync(),
      )
      expect(largestDifference(product, update)).toBeLessThan(2e-5)
    })
})

describe('combined adapters', () => {
  beforeEach(() => {
    peft = getPeftModel(tinyModel(), { r: 4, loraAlpha: 8 }, { adapterName: 'one' })
    peft.addAdapter('two', { r: 2, targetModules: ['v_proj', 'down_proj', 'embed_tokens'] })
    for (const name of ['one', 'two']) {
      peft.setAdapter(name)
      perturb(peft)
    }
  })

  it('side by side do what both do together', () => {
    peft.setAdapter(['one', 'two'])
    const both = logitsOf(peft.model)
    addWeightedAdapter(peft, { adapters: ['one', 'two'], weights: [1, 1], adapterName: 'sum', combinationType: 'cat' })
    expect(peft.activeAdapters).toEqual(['one', 'two'])
    peft.setAdapter('sum')
    expect(largestDifference(logitsOf(peft.model), both)).toBeLessThan(2e-4)
    addWeightedAdapter(peft, { adapters: ['one', 'two'], weights: [1, 1], adapterName: 'svd', svdRank: 6 })
    peft.setAdapter('svd')
    expect(largestDifference(logitsOf(peft.model), both)).toBeLessThan(5e-4)
    // Clamping at a quantile in the middle loses something.
    addWeightedAdapter(peft, { adapters: ['one'], weights: [0.5], adapterName: 'half' })
    addWeightedAdapter(peft, {
      adapters: ['one', 'two'],
      weights: [1, 1],
      adapterName: 'clamped',
      svdRank: 6,
      svdClamp: 0.9,
    })
    peft.setAdapter('clamped')
    expect(largestDifference(logitsOf(peft.model), both)).toBeGreaterThan(1e-3)
  })

  it('say what does not go together, and leave nothing behind', () => {
    const add = (options: Partial<WeightedAdapterOptions>) => () =>
      addWeightedAdapter(peft, { adapters: ['one', 'two'], weights: [1, 1], adapterName: 'new', ...options })
    expect(add({ combinationType: 'linear' })).toThrow('one rank, not 4, 2')
    expect(add({ combinationType: 'ties_svd' })).toThrow('needs a density')
    expect(add({ weights: [1] })).toThrow('1 weights for 2 adapters')
    expect(add({ adapters: ['one', 'other'] })).toThrow('no adapter named other')
    peft.addAdapter('dora', { useDora: true })
    expect(add({ adapters: ['one', 'dora'] })).toThrow('more than a low-rank update')
    peft.addAdapter('regex', { targetModules: '.*v_proj' })
    expect(add({ adapters: ['one', 'regex'] })).toThrow('regular expression')
    expect(peft.adapterNames).toEqual(['one', 'two', 'dora', 'regex'])
  })
})
