import { readFileSync } from 'node:fs'
import * as tf from '@tensorflow/tfjs-core'
import { sharedPath, sharedTensors } from '@tunesmith/tooling/shared'
import { beforeAll, describe, expect, it } from 'vitest'
import {
  ADAMW_MIN_8BIT_SIZE,
  adamW8bitStep,
  adamWStep,
  createAdamW8bitState,
  disposeAdamW8bitState,
  selectBackend,
} from '../index'
import { testedBackends } from '../testing/backends'

const golden = sharedTensors('goldens/adamw8bit.safetensors')
const settings = golden && JSON.parse(readFileSync(sharedPath('goldens/adamw8bit.json')!, 'utf8'))

/** A map that ascends, holds zero, and is uneven like the dynamic one. */
const unevenMap = (low: number) =>
  Float32Array.from({ length: 256 }, (_, i) => {
    const x = low + ((1 - low) * i) / 255
    return i === Math.round((-low * 255) / (1 - low)) ? 0 : Math.sign(x) * x * x
  })

for (const backend of testedBackends)
  describe(`on ${backend}`, () => {
    beforeAll(async () => {
      await selectBackend({ backend })
    })

    it.skipIf(!golden).each(['a', 'b'])('follows 20 steps of bitsandbytes, run %s', (name) => {
      const run = settings.runs.find((r: { name: string }) => r.name === name)
      const [qmap1, qmap2] = ['qmap1', 'qmap2'].map((map) => tf.tensor1d(golden!<Float32Array>(map))) as [
        tf.Tensor,
        tf.Tensor,
      ]
      const param = tf.tidy(() => tf.variable(tf.tensor2d(golden!<Float32Array>('init.p0'), [65, 71])))
      const gradients = golden!<Float32Array>('grads.p0')
      const state = createAdamW8bitState({ size: 65 * 71, qmap1, qmap2 })
      const tensors = tf.memory().numTensors
      for (let step = 1; step <= 20; step++) {
        const grad = tf.tensor2d(gradients.slice((step - 1) * 4615, step * 4615), [65, 71])
        const { lr, betas, eps, weight_decay: weightDecay } = run
        adamW8bitStep(param, grad, state, {
          lr,
          beta1: betas[0],
          beta2: betas[1],
          eps,
          weightDecay,
          step,
          gradScale: 1,
        })
        grad.dispose()
        if (![1, 2, 5, 10, 20].includes(step)) continue
        const want = golden!<Float32Array>(`${name}.adamw8bit.step${step}.p0`)
        const got = param.dataSync()
        const error = want.reduce((worst, x, i) => Math.max(worst, Math.abs(x - got[i]!)), 0)
        expect(error, `step ${step}`).toBeLessThan(1e-7)
        if (step !== 1 && step !== 20) continue
        for (const part of ['state1', 'state2'] as const) {
          const codes = new Uint8Array((state[part].dataSync() as Int32Array).buffer, 0, 4615)
          const expected = golden!<Uint8Array>(`${name}.adamw8bit.step${step}.p0.${part}`)
          const flipped = expected.filter((code, i) => code !== codes[i]).length
          expect(flipped, `codes of ${part} at step ${step}`).toBe(0)
        }
        for (const part of ['absmax1', 'absmax2'] as const)
          expect(state[part].dataSync()).toEqual(golden!<Float32Array>(`${name}.adamw8bit.step${step}.p0.${part}`))
      }
      expect(tf.memory().numTensors).toBe(tensors)
      disposeAdamW8bitState(state)
      tf.dispose([param, qmap1, qmap2])
    })

    it.skipIf(!golden).each(['a', 'b'])('a small parameter keeps float32 moments, run %s', (name) => {
      const { lr, betas, eps, weight_decay: weightDecay } = settings.runs.find((r: { name: string }) => r.name === name)
      const variable = (values: Float32Array) => tf.tidy(() => tf.variable(tf.tensor1d(values)))
      const gradients = golden!<Float32Array>('grads.p1')
      const [param, m, v] = [
        variable(golden!<Float32Array>('init.p1')),
        ...[0, 1].map(() => variable(new Float32Array(1200))),
      ]
      expect(param!.size).toBeLessThan(ADAMW_MIN_8BIT_SIZE)
      for (let step = 1; step <= 20; step++) {
        const attrs = { lr, beta1: betas[0], beta2: betas[1], eps, weightDecay, step, gradScale: 1 }
        tf.tidy(() => adamWStep(param!, tf.tensor1d(gradients.slice((step - 1) * 1200, step * 1200)), m!, v!, attrs))
        if (![1, 2, 5, 10, 20].includes(step)) continue
        const want = golden!<Float32Array>(`${name}.adamw8bit.step${step}.p1`)
        const got = param!.dataSync()
        expect(want.reduce((worst, x, i) => Math.max(worst, Math.abs(x - got[i]!)), 0)).toBeLessThan(1e-6)
      }
      tf.dispose([param, m, v])
    })

    it('moves as 32-bit AdamW does, within the coarseness of the codes, and scales the gradient', () => {
      const size = 700
      const [qmap1, qmap2] = [tf.tensor1d(unevenMap(-1)), tf.tensor1d(unevenMap(0))]
      const state = createAdamW8bitState({ size, qmap1, qmap2 })
      const param = tf.tidy(() => tf.variable(tf.zeros([size])))
      const grad = tf.tensor1d(Float32Array.from({ length: size }, (_, i) => (i % 2 ? 0.5 : -0.5) * (1 + (i % 7) / 7)))
      for (let step = 1; step <= 3; step++)
        adamW8bitStep(param, grad, state, {
          lr: 0.01,
          beta1: 0.9,
          beta2: 0.99,
          eps: 1e-8,
          weightDecay: 0,
          step,
          gradScale: 2,
        })
      // A constant gradient moves every element by lr a step, against its sign.
      param.dataSync().forEach((value: number, i: number) => {
        expect(value * (i % 2 ? -1 : 1)).toBeGreaterThan(0.025)
        expect(value * (i % 2 ? -1 : 1)).toBeLessThan(0.035)
      })
      disposeAdamW8bitState(state)
      tf.dispose([param, grad, qmap1, qmap2])
    })

    it('refuses a state of another size', () => {
      const [qmap1, qmap2] = [tf.tensor1d(unevenMap(-1)), tf.tensor1d(unevenMap(0))]
      const state = createAdamW8bitState({ size: 8, qmap1, qmap2 })
      const param = tf.tidy(() => tf.variable(tf.zeros([9])))
      const attrs = { lr: 1, beta1: 0, beta2: 0, eps: 1, weightDecay: 0, step: 1, gradScale: 1 }
      expect(() => adamW8bitStep(param, param, state, attrs)).toThrow(/state/)
      disposeAdamW8bitState(state)
      tf.dispose([param, qmap1, qmap2])
    })
  })
