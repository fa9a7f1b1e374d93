import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as tf from '@tensorflow/tfjs-core'
import { openSafetensors } from '@tunesmith/hub'
import { describe, expect, it } from 'vitest'
import { configFromJson } from '../../config-json'
import { loadPeftModel, savePeftModel } from '../../files'
import { getPeftModel, PeftModel } from '../../peft-model'
import { testAdapter, tinyModel } from '../../testing'
import { logitsOf, perturb } from '../../testing/measure'
import { budgetAt } from './budget'
import type { AdaLoraConfig } from './config'

const prefix = 'base_model.model.model.layers.0.self_attn'
const keys = (module: string) => ['A', 'B', 'E'].map((part) => `${prefix}.${module}.lora_${part}`)
const schedule = { initR: 6, targetR: 3, totalStep: 30, tinit: 5, tfinal: 5 }

testAdapter({
  name: 'AdaLoRA',
  config: { peftType: 'ADALORA', ...schedule, loraAlpha: 24 },
  keys: [...keys('q_proj'), ...keys('v_proj')],
})

testAdapter({
  name: 'AdaLoRA with dropout, biases and another interval',
  config: {
    peftType: 'ADALORA',
    ...schedule,
    deltaT: 3,
    loraAlpha: 24,
    loraDropout: 0.1,
    bias: 'lora_only',
    targetModules: ['v_proj'],
  },
  keys: [...keys('v_proj'), `${prefix}.v_proj.base_layer.bias`],
  model: { config: { model_type: 'qwen2' } },
})

/** Parameters and gradients in which the first ranks of the first module matter most. */
function trainedUntil(steps: number, config: object = {}) {
  const peft = getPeftModel(tinyModel(), { peftType: 'ADALORA', ...schedule, ...config })
  perturb(peft)
  for (let step = 1; step <= steps; step++) {
    const gradients = new Map(
      [...peft.parameters()].map(([key, variable]) => {
        const rank = key.endsWith('lora_E') ? (i: number) => i : (i: number) => i % 7
        const module = key.includes('layers.0.self_attn.q_proj')
          ? 100
          : key.includes('layers.1.self_attn.v_proj')
            ? 0.01
            : 1
        const values = Float32Array.from(
          { length: variable.size },
          (_, i) => (module * (1 + (step % 3))) / (1 + rank(i)),
        )
        return [key, tf.tensor(values, variable.shape)]
      }),
    )
    peft.afterOptimizerStep(step, 30, gradients)
    tf.dispose([...gradients.values()])
  }
  return peft
}

const singularValues = (peft: ReturnType<typeof trainedUntil>) =>
  [...peft.parameters()].flatMap(([key, variable]) => (key.endsWith('lora_E') ? [[...variable.dataSync()]] : []))

describe('the budget of AdaLoRA', () => {
  it('is whole at first, falls with the cube of the time left, and ends at the target', () => {
    const config = { ...schedule, deltaT: 4 } as AdaLoraConfig
    const at = (step: number) => budgetAt(step, 10, config)
    expect(at(5)).toEqual({ ranks: 60, allocate: false })
    expect(at(6)).toEqual({ ranks: Math.trunc(30 * 0.95 ** 3 + 30), allocate: false })
    expect(at(15)).toEqual({ ranks: Math.trunc(30 / 8 + 30), allocate: false })
    expect(at(16).allocate).toBe(true)
    expect(at(25)).toEqual({ ranks: 30, allocate: false })
    expect(at(26)).toEqual({ ranks: 30, allocate: true })
  })
})

describe('AdaLoRA', () => {
  it('gives up singular values until the target is left, and keeps those that matter', () => {
    const early = trainedUntil(5)
    expect(
      singularValues(early)
        .flat()
        .filter((value) => value === 0),
    ).toEqual([])
    const late = trainedUntil(30)
    const kept = singularValues(late).map((values) => values.filter((value) => value !== 0).length)
    expect(kept.reduce((sum, count) => sum + count, 0)).toBe(4 * 3)
    expect(kept[0]).toBe(6)
    // In the last steps what was given up stays given up, whatever the optimizer does.
    perturb(late)
    late.afterOptimizerStep(31, 30, new Map())
    expect(singularValues(late).map((values) => values.filter((value) => value !== 0).length)).toEqual(kept)
    for (const peft of [early, late]) peft.unload().dispose()
  })

  it('saves only the ranks in use, with their pattern, and comes back to the same numbers', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'tunesmith-adalora-'))
    const peft = trainedUntil(30)
    await savePeftModel(peft, folder)
    const json = JSON.parse(await readFile(join(folder, 'adapter_config.json'), 'utf8'))
    expect(json).toMatchObject({ peft_type: 'ADALORA', deltaT: 1, init_r: 6, target_r: 3, total_step: 30 })
    expect(json).not.toHaveProperty('delta_t')
    const pattern = json.rank_pattern as Record<string, boolean[]>
    expect(Object.keys(pattern)).toEqual(
      [0, 1].flatMap((l) => ['q', 'v'].map((m) => `model.layers.${l}.self_attn.${m}_proj.lora_E`)),
    )
    const file = await openSafetensors(join(folder, 'adapter_model.safetensors'))
    for (const [name, used] of Object.entries(pattern)) {
      const rank = used.filter(Boolean).length
      const shape = (part: string) => file.tensors.get(`base_model.model.${name.replace('lora_E', part)}`)!.shape
      const out = name.includes('v_proj') ? 16 : 32
      expect([shape('lora_A'), shape('lora_B'), shape('lora_E')]).toEqual([
        [rank, 32],
        [out, rank],
        [rank, 1],
      ])
    }
    // Ranks of zero are among them.
    expect(Object.values(pattern).some((used) => !used.some(Boolean))).toBe(true)
    await file.close()
    const again = await loadPeftModel(tinyModel(), folder)
    expect(logitsOf(again.model)).toEqual(logitsOf(peft.model))
    await savePeftModel(again, join(folder, 'again'))
    for (const name of ['adapter_config.json', 'adapter_model.safetensors'])
      expect(await readFile(join(folder, 'again', name))).toEqual(await readFile(join(folder, name)))
    for (const model of [peft, again]) model.unload().dispose()
    await rm(folder, { recursive: true })
  })

  it('goes on where it was from its training state', () => {
    const whole = trainedUntil(30)
    const [first, second] = [trainedUntil(12), trainedUntil(0)]
    for (const [from, to] of [
      [first.parameters(), second.parameters()],
      [first.trainingState(), second.trainingState()],
    ] as const)
      for (const [key, variable] of from) to.get(key)!.assign(variable)
    expect([...second.trainingState().keys()]).toContain('default/model.layers.0.self_attn.q_proj.lora_A.exp_avg_ipt')
    for (const name of first.trainingState().keys())
      expect(second.trainingState().get(name)!.dataSync()).toEqual(first.trainingState().get(name)!.dataSync())
    for (const peft of [whole, first, second]) peft.unload().dispose()
  })

  it('adds the mean distance of the factors from orthogonality to the loss, unless its weight is zero', () => {
    const peft = getPeftModel(tinyModel(), { peftType: 'ADALORA', ...schedule, orthRegWeight: 0.25 })
    const distances = [...peft.parameters()].flatMap(([key, variable]) => {
      const axis = key.endsWith('lora_A') ? 1 : key.endsWith('lora_B') ? 0 : undefined
      if (axis === undefined) return []
      const [rows, columns] = variable.shape as [number, number]
      const values = variable.dataSync()
      const [vectors, length] = axis === 1 ? [rows, columns] : [columns, rows]
      const value = (v: number, i: number) => values[axis === 1 ? v * columns + i : i * columns + v]!
      let sum = 0
      for (let a = 0; a < vectors; a++)
        for (let b = 0; b < vectors; b++) {
          let dot = a === b ? -1 : 0
          for (let i = 0; i < length; i++) dot += value(a, i) * value(b, i)
          sum += dot * dot
        }
      return [Math.sqrt(sum)]
    })
    const expected = (0.25 * distances.reduce((sum, distance) => sum + distance, 0)) / distances.length
    const penalty = peft.auxiliaryLoss()!
    expect(penalty.dataSync()[0]).toBeCloseTo(expected, 5)
    penalty.dispose()
    peft.unload()
    const without = getPeftModel(peft.model, { peftType: 'ADALORA', ...schedule, orthRegWeight: 0 })
    expect(without.auxiliaryLoss()).toBeUndefined()
    without.unload().dispose()
  })

  it('reads older files, with the name of the adapter in the pattern and without totalStep', () => {
    const name = 'model.layers.0.self_attn.q_proj.lora_E'
    const json = {
      peft_type: 'ADALORA',
      init_r: 2,
      total_step: null,
      rank_pattern: { [`${name}.default`]: [true, false] },
    }
    const { config } = configFromJson(json, 'a file')
    const peft = new PeftModel(tinyModel()).addConfigured('default', config, { seed: 0, loading: true })
    expect(
      Object.entries(
        peft
          .trainingState()
          .get(`default/${name.replace('lora_E', 'rank_mask')}`)!
          .dataSync(),
      ),
    ).toEqual([
      ['0', 1],
      ['1', 0],
    ])
    peft.unload().dispose()
  })

  it('refuses a schedule without room, and a pattern of other ranks', () => {
    const model = tinyModel()
    const make = (options: object) => () => getPeftModel(model, { peftType: 'ADALORA', ...schedule, ...options })
    expect(make({ tinit: 25 })).toThrow('leave none for reducing ranks')
    expect(make({ rankPattern: { 'model.layers.0.self_attn.q_proj.lora_E': [true] } })).toThrow('1 ranks for')
    expect(make({ totalStep: undefined })).toThrow('totalStep')
    model.dispose()
  })
})
