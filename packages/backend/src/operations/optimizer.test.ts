import * as tf from '@tensorflow/tfjs-core'
import { beforeAll, describe, expect, it } from 'vitest'
import { adamWStep, gradNorm, kvCacheUpdate, selectBackend } from '../index'
import { testedBackends } from '../testing/backends'

const variable = (values: number[]) => tf.tidy(() => tf.variable(tf.tensor1d(values)))

for (const backend of testedBackends)
  describe(`on ${backend}`, () => {
    beforeAll(async () => {
      await selectBackend({ backend })
    })

    it('adamWStep follows the arithmetic of torch.optim.AdamW', () => {
      const attrs = { lr: 0.01, beta1: 0.9, beta2: 0.999, eps: 1e-8, weightDecay: 0.1 }
      const [param, m, v] = [variable([0.5, -1, 2]), variable([0, 0, 0]), variable([0, 0, 0])]
      const want = { p: [0.5, -1, 2], m: [0, 0, 0], v: [0, 0, 0] }
      const before = tf.memory().numTensors
      for (let step = 1; step <= 5; step++) {
        const grad = [0.1 * step, -0.3, 0.02]
        tf.tidy(() => adamWStep(param, tf.tensor1d(grad), m, v, { ...attrs, step, gradScale: 0.5 }))
        grad.forEach((raw, i) => {
          const g = raw * 0.5
          want.p[i]! *= 1 - attrs.lr * attrs.weightDecay
          want.m[i] = 0.9 * want.m[i]! + (1 - 0.9) * g
          want.v[i] = 0.999 * want.v[i]! + (1 - 0.999) * g * g
          const denominator = Math.sqrt(want.v[i]!) / Math.sqrt(1 - 0.999 ** step) + attrs.eps
          want.p[i]! -= ((attrs.lr / (1 - 0.9 ** step)) * want.m[i]!) / denominator
        })
      }
      param.dataSync().forEach((value: number, i: number) => {
        expect(Math.abs(value - want.p[i]!)).toBeLessThan(1e-6)
      })
      expect(tf.memory().numTensors).toBe(before)
    })

    it('gradNorm is the norm over everything together', () => {
      const grads = [tf.tensor([3, 0]), tf.tensor([[4], [12]])]
      expect(gradNorm(grads)).toBeCloseTo(13, 6)
      expect(gradNorm([])).toBe(0)
    })

    it('kvCacheUpdate replaces rows in place', () => {
      const cache = tf.tidy(() => tf.variable(tf.zeros<tf.Rank.R2>([4, 2]), false))
      tf.tidy(() => kvCacheUpdate(cache, tf.tensor2d([1, 2, 3, 4], [2, 2]), tf.tensor1d([3, 1], 'int32')))
      expect(Array.from(cache.dataSync())).toEqual([0, 0, 3, 4, 0, 0, 1, 2])
    })
  })
