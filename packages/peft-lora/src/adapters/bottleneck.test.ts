import * as tf from '@tensorflow/tfjs-core'
import { createPass } from '@tunesmith/models'
import { describe, expect, it } from 'vitest'
import { getPeftModel } from '../peft-model'
import { testAdapter, tinyModel } from '../testing'
import { largestDifference, perturb } from '../testing/measure'

const layer = 'base_model.model.model.layers.0'
const keys = (module: string) =>
  ['down', 'up'].flatMap((part) => ['weight', 'bias'].map((kind) => `${layer}.${module}.adapter_${part}.${kind}`))

testAdapter({
  name: 'bottleneck (Houlsby)',
  config: { peftType: 'BOTTLENECK', reductionFactor: 4, initWeights: 'mam_adapter' },
  keys: [...keys('self_attn.o_proj'), ...keys('mlp.down_proj')],
  mergeable: false,
})

testAdapter({
  name: 'bottleneck after the feed-forward part only',
  config: {
    peftType: 'BOTTLENECK',
    mhAdapter: false,
    nonLinearity: 'gelu',
    scaling: 2,
    dropout: 0.1,
    reductionFactor: 2,
  },
  keys: keys('mlp.down_proj'),
  mergeable: false,
  startsAsBase: false,
})

describe('bottleneck adapters', () => {
  it("have the sizes and initial values of the adapters library's defaults", () => {
    const peft = getPeftModel(tinyModel(), { peftType: 'BOTTLENECK' })
    const parameters = peft.parameters()
    // Two layers, two adapters each: 32 to 2 to 32, with biases.
    expect(peft.parameterCounts().trainable).toBe(4 * (32 * 2 + 2 + 2 * 32 + 32))
    const down = parameters.get(keys('self_attn.o_proj')[0]!)!.dataSync() as Float32Array
    const spread = Math.sqrt(down.reduce((sum, value) => sum + value * value, 0) / down.length)
    expect(spread).toBeGreaterThan(0.014)
    expect(spread).toBeLessThan(0.026)
    peft.unload().dispose()
  })

  it('add what two projections and a swish make of the output of their module', () => {
    const model = tinyModel()
    const module = model.linears.get('model.layers.0.mlp.down_proj')!
    const x = tf.tidy(() =>
      tf.tensor2d(
        Float32Array.from({ length: 96 }, (_, i) => Math.sin(i)),
        [2, 48],
      ),
    )
    const pass = createPass({ cuSeqlens: [0, 2] })
    const base = tf.tidy(() => module.forward(x, pass).arraySync())
    const peft = getPeftModel(model, { peftType: 'BOTTLENECK', reductionFactor: 8, scaling: 1.5 })
    perturb(peft, 0.3)
    const [down, downBias, up, upBias] = keys('mlp.down_proj').map((key) => peft.parameters().get(key)!.arraySync())
    const expected = base.flatMap((y) => {
      const small = (down as number[][]).map((row, i) => {
        const z = row.reduce((sum, w, j) => sum + w * y[j]!, (downBias as number[])[i]!)
        return z / (1 + Math.exp(-z))
      })
      return y.map((value, j) => {
        const added = (up as number[][])[j]!.reduce((sum, w, i) => sum + w * small[i]!, (upBias as number[])[j]!)
        return value + 1.5 * added
      })
    })
    expect(
      largestDifference(
        tf.tidy(() => module.forward(x, pass).dataSync()),
        expected,
      ),
    ).toBeLessThan(1e-5)
    x.dispose()
    peft.unload().dispose()
  })

  it('leave layers out, and say when no place is left', () => {
    const model = tinyModel()
    const peft = getPeftModel(model, { peftType: 'BOTTLENECK', leaveOut: [0] })
    expect(peft.targets).toEqual(['model.layers.1.self_attn.o_proj', 'model.layers.1.mlp.down_proj'])
    peft.unload()
    expect(() => getPeftModel(model, { peftType: 'BOTTLENECK', leaveOut: [0, 1] })).toThrow('leaves no place')
    model.dispose()
  })

  it('draw the three kinds of initial values, and know four activations', () => {
    for (const nonLinearity of ['swish', 'relu', 'gelu', 'tanh'] as const)
      for (const initWeights of ['bert', 'houlsby', 'mam_adapter'] as const) {
        const peft = getPeftModel(tinyModel(), { peftType: 'BOTTLENECK', nonLinearity, initWeights })
        const largest = (key: string) => Math.max(...peft.parameters().get(key)!.dataSync().map(Math.abs))
        const [down, , up] = keys('mlp.down_proj').map(largest) as [number, number, number]
        if (initWeights === 'houlsby') expect(Math.max(down, up)).toBeLessThanOrEqual(0.0200001)
        if (initWeights === 'mam_adapter') expect(up).toBe(0)
        expect(down).toBeGreaterThan(0)
        peft.unload().dispose()
      }
  })
})
