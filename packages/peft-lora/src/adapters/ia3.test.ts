import { describe, expect, it } from 'vitest'
import { getPeftModel } from '../peft-model'
import { testAdapter, tinyModel } from '../testing'

const layer = 'base_model.model.model.layers.0'

testAdapter({
  name: 'IA3',
  config: { peftType: 'IA3' },
  keys: [`${layer}.self_attn.k_proj.ia3_l`, `${layer}.self_attn.v_proj.ia3_l`, `${layer}.mlp.down_proj.ia3_l`],
})

testAdapter({
  name: 'IA3 on outputs with biases, and on inputs by expression',
  config: {
    peftType: 'IA3',
    targetModules: ['q_proj', 'v_proj', 'gate_proj'],
    feedforwardModules: '.*gate_proj',
  },
  keys: [`${layer}.self_attn.q_proj.ia3_l`, `${layer}.self_attn.v_proj.ia3_l`, `${layer}.mlp.gate_proj.ia3_l`],
  model: { config: { model_type: 'qwen2' } },
})

describe('IA3', () => {
  it('adapts what PEFT does by default, and refuses feed-forward modules that are no targets', () => {
    const suffixes = (model_type: string) => {
      const peft = getPeftModel(tinyModel({ config: { model_type } }), { peftType: 'IA3' })
      const found = [...new Set(peft.targets.map((name) => name.split('.').at(-1)))]
      peft.unload().dispose()
      return found
    }
    expect(suffixes('mistral')).toEqual(['k_proj', 'v_proj', 'down_proj'])
    expect(suffixes('qwen2')).toEqual(['q_proj', 'v_proj', 'down_proj'])
    expect(suffixes('phi3')).toEqual(['qkv_proj', 'down_proj'])
    const model = tinyModel()
    const options = { peftType: 'IA3' as const, targetModules: ['q_proj'], feedforwardModules: ['up_proj'] }
    expect(() => getPeftModel(model, options)).toThrow('names up_proj, which targetModules does not')
    model.dispose()
  })
})
