import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { sharedPath } from '@tunesmith/tooling/shared'
import { describe, expect, test } from 'vitest'
import { adamW8bitStep, createAdamWState } from './adamw8bit'
import { DYNAMIC_MAP_SIGNED, DYNAMIC_MAP_UNSIGNED } from './codebooks'
import { differingBytes, readGolden } from './fixtures/goldens'

const folder = sharedPath('goldens')

describe.skipIf(!folder)('20 steps beside bitsandbytes', () => {
  const file = readGolden(join(folder!, 'adamw8bit.safetensors'))
  const { runs, saved_steps: saved } = JSON.parse(readFileSync(join(folder!, 'adamw8bit.json'), 'utf8')) as {
    runs: { name: string; lr: number; betas: [number, number]; eps: number; weight_decay: number }[]
    saved_steps: number[]
  }

  test('maps', () => {
    expect(differingBytes(DYNAMIC_MAP_SIGNED, file.f32('qmap1'))).toBe(0)
    expect(differingBytes(DYNAMIC_MAP_UNSIGNED, file.f32('qmap2'))).toBe(0)
  })

  for (const run of runs)
    test.each(['p0', 'p1'])(`run ${run.name}, %s`, (name) => {
      const parameter = file.f32(`init.${name}`).slice()
      const size = parameter.length
      const gradients = file.f32(`grads.${name}`)
      const state = createAdamWState({ size })
      for (let step = 1; step <= 20; step++) {
        adamW8bitStep({
          parameter,
          gradient: gradients.subarray((step - 1) * size, step * size),
          state,
          step,
          learningRate: run.lr,
          beta1: run.betas[0],
          beta2: run.betas[1],
          epsilon: run.eps,
          weightDecay: run.weight_decay,
        })
        if (!saved.includes(step)) continue
        const key = `${run.name}.adamw8bit.step${step}.${name}`
        const expected = file.f32(key)
        const error = parameter.reduce((worst, x, i) => Math.max(worst, Math.abs(x - expected[i]!)), 0)
        expect(error).toBeLessThan(1e-7)
        if (step !== 1 && step !== 20) continue
        const parts = state.kind === '8bit' ? ['state1', 'state2', 'absmax1', 'absmax2'] : ['state1', 'state2']
        for (const part of parts) {
          const bytes = state[part as 'state1' | 'state2']
          expect([part, differingBytes(bytes, file.get(`${key}.${part}`).bytes)]).toEqual([part, 0])
        }
      }
    })
})
