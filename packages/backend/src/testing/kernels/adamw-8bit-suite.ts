import { readFileSync } from 'node:fs'
import * as tf from '@tensorflow/tfjs-core'
import { Random } from '@tunesmith/core'
import { sharedPath, sharedTensors } from '@tunesmith/tooling/shared'
import { beforeAll, describe, expect, test } from 'vitest'
import { adamW8bitStep, adamW8bitSteps, adamWStep, createAdamW8bitState, disposeAdamW8bitState } from '../../index'
import { backendUnderTest, normals, setThreads, useBackend } from './harness'

beforeAll(useBackend)

const golden = sharedTensors('goldens/adamw8bit.safetensors')
const defaults = { lr: 0.01, beta1: 0.9, beta2: 0.99, eps: 1e-8, weightDecay: 0.1, gradScale: 0.7 }

/** A signed and an unsigned map, uneven like the dynamic ones. */
function maps() {
  const squared = (low: number) => (i: number) => {
    const x = (i - (low < 0 ? 127 : 0)) / (low < 0 ? 128 : 255)
    return Math.sign(x) * x ** 4
  }
  const make = (low: number) => tf.tensor1d(Float32Array.from({ length: 256 }, (_, i) => squared(low)(i)))
  return { qmap1: make(-1), qmap2: make(0) }
}

/** Parameter and state after some steps on the current backend, as one array of bits. */
function trajectory(size: number, steps: number): Int32Array[] {
  const random = new Random(size)
  const state = createAdamW8bitState({ size, ...maps() })
  const param = tf.tidy(() => tf.variable(tf.tensor1d(normals(random, size))))
  for (let step = 1; step <= steps; step++) {
    const grad = normals(random, size, step === 2 ? 0 : 10 ** (-step % 5))
    if (step === 3) grad[size - 1] = Number.NaN
    if (step === 4) grad[0] = Number.POSITIVE_INFINITY
    tf.tidy(() => adamW8bitStep(param, tf.tensor1d(grad), state, { ...defaults, step }))
  }
  const { state1, state2, absmax1, absmax2 } = state
  const bits = [param, state1, state2, absmax1, absmax2].map((x) => {
    const values = x.dataSync().slice() as Float32Array | Int32Array
    const array = new Int32Array(values.buffer)
    // Every NaN is a NaN; which one differs between processors.
    return values instanceof Float32Array ? array.map((bit, i) => (Number.isNaN(values[i]) ? 0x7fc00000 : bit)) : array
  })
  disposeAdamW8bitState(state)
  tf.dispose([param, state.qmap1, state.qmap2])
  return bits
}

describe('AdamW with 8-bit moments', () => {
  test.each([1, 255, 256, 1000, 20_001])(
    '%i elements: the portable definition bit for bit, on any number of threads',
    async (size) => {
      const native = trajectory(size, 6)
      setThreads(1)
      expect(trajectory(size, 6)).toEqual(native)
      setThreads(2)
      await tf.setBackend('cpu')
      const portable = trajectory(size, 6)
      await tf.setBackend(backendUnderTest())
      expect(native).toEqual(portable)
    },
  )

  test('a list of parameters is stepped as each by itself, to the bit', () => {
    const sizes = Array.from({ length: 120 }, (_, i) => (i % 30 === 9 ? 2500 + i : 1 + ((i * 37) % 300)))
    const outcome = (together: boolean) =>
      tf.tidy(() => {
        const random = new Random(8)
        const shared = maps()
        const updates = sizes.map((size) => ({
          param: tf.variable(tf.tensor1d(normals(random, size))),
          grad: tf.tensor1d(normals(random, size)),
          state: createAdamW8bitState({ size, ...shared }),
        }))
        for (let step = 1; step <= 2; step++)
          for (const list of together ? [updates] : updates.map((update) => [update]))
            adamW8bitSteps(list, { ...defaults, step })
        const values = updates.flatMap(({ param, state: { qmap1, qmap2, ...state } }) =>
          [param, ...Object.values(state)].map((x) => x.dataSync().slice()),
        )
        for (const { param, state } of updates) {
          param.dispose()
          disposeAdamW8bitState(state)
        }
        return values
      })
    expect(outcome(true)).toEqual(outcome(false))
  })

  test.skipIf(!golden).each(['a', 'b'])('20 steps of bitsandbytes, run %s', (name) => {
    const settings = JSON.parse(readFileSync(sharedPath('goldens/adamw8bit.json')!, 'utf8'))
    const { lr, betas, eps, weight_decay } = settings.runs.find((run: { name: string }) => run.name === name)
    const attrs = { lr, beta1: betas[0], beta2: betas[1], eps, weightDecay: weight_decay, gradScale: 1 }
    const state = createAdamW8bitState({
      size: 4615,
      qmap1: tf.tensor1d(golden!<Float32Array>('qmap1')),
      qmap2: tf.tensor1d(golden!<Float32Array>('qmap2')),
    })
    const param = tf.tidy(() => tf.variable(tf.tensor1d(golden!<Float32Array>('init.p0'))))
    const gradients = golden!<Float32Array>('grads.p0')
    for (let step = 1; step <= 20; step++) {
      const grad = gradients.slice((step - 1) * 4615, step * 4615)
      tf.tidy(() => adamW8bitStep(param, tf.tensor1d(grad), state, { ...attrs, step }))
      if (![1, 2, 5, 10, 20].includes(step)) continue
      const got = param.dataSync()
      const want = golden!<Float32Array>(`${name}.adamw8bit.step${step}.p0`)
      expect(want.reduce((worst, x, i) => Math.max(worst, Math.abs(x - got[i]!)), 0)).toBeLessThan(1e-7)
      if (step !== 1 && step !== 20) continue
      for (const part of ['state1', 'state2'] as const)
        expect(new Uint8Array((state[part].dataSync() as Int32Array).slice().buffer, 0, 4615)).toEqual(
          golden!<Uint8Array>(`${name}.adamw8bit.step${step}.p0.${part}`),
        )
      for (const part of ['absmax1', 'absmax2'] as const)
        expect(state[part].dataSync()).toEqual(golden!<Float32Array>(`${name}.adamw8bit.step${step}.p0.${part}`))
    }
    disposeAdamW8bitState(state)
    tf.dispose([param, state.qmap1, state.qmap2])
  })

  test.skipIf(!golden).each(['a', 'b'])('a parameter under 4096 elements keeps float32 moments, run %s', (name) => {
    const settings = JSON.parse(readFileSync(sharedPath('goldens/adamw8bit.json')!, 'utf8'))
    const { lr, betas, eps, weight_decay } = settings.runs.find((run: { name: string }) => run.name === name)
    const attrs = { lr, beta1: betas[0], beta2: betas[1], eps, weightDecay: weight_decay, gradScale: 1 }
    const variable = (values: Float32Array) => tf.tidy(() => tf.variable(tf.tensor1d(values)))
    const param = variable(golden!<Float32Array>('init.p1'))
    const [m, v] = [variable(new Float32Array(1200)), variable(new Float32Array(1200))]
    const gradients = golden!<Float32Array>('grads.p1')
    for (let step = 1; step <= 20; step++) {
      const grad = gradients.slice((step - 1) * 1200, step * 1200)
      tf.tidy(() => adamWStep(param, tf.tensor1d(grad), m, v, { ...attrs, step }))
      if (![1, 2, 5, 10, 20].includes(step)) continue
      const got = param.dataSync()
      const want = golden!<Float32Array>(`${name}.adamw8bit.step${step}.p1`)
      expect(want.reduce((worst, x, i) => Math.max(worst, Math.abs(x - got[i]!)), 0)).toBeLessThan(1e-6)
    }
    tf.dispose([param, m, v])
  })

  test('a state of another size is refused', () => {
    const state = createAdamW8bitState({ size: 8, ...maps() })
    const param = tf.tidy(() => tf.variable(tf.zeros([300])))
    expect(() => adamW8bitStep(param, param, state, { ...defaults, step: 1 })).toThrow(/AdamW8bitSteps: "state10"/)
    disposeAdamW8bitState(state)
    tf.dispose([param, state.qmap1, state.qmap2])
  })
})
