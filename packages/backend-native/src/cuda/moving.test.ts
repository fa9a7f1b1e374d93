// Activations that leave the device while the next block computes, and optimizer states that leave it when memory is short: the
// same bits as on a device that has room, whatever stream comes first.
import * as tf from '@tensorflow/tfjs-core'
import {
  type AdamW8bitState,
  adamW8bitStep,
  adamWStep,
  checkpoint,
  createAdamW8bitState,
  markOptimizerState,
  offloadTensor,
  prefetchTensor,
  rmsNorm,
  valueAndGrads,
} from '@tunesmith/backend'
import { Random } from '@tunesmith/core'
import { afterEach, beforeAll, describe, expect, test } from 'vitest'
import { cudaMemory, resetCudaPeak, trimCudaMemory } from '../index'
import { emulateCuda } from '../testing/emulated'
import { matrix, normals, useNative } from '../testing/harness'
import { loadCudaAddon } from './addon'

const there = emulateCuda('f32')
const onDevice = process.env.TUNESMITH_CUDA_DEVICE_TESTS === '1'
/** Nothing before it is waited for; the compute stream early; the copies early; everything at once. */
const SCHEDULES = onDevice ? [0] : [0, 1, 2, 3]
const KIB = 1024

const setSchedule = (schedule: number) => loadCudaAddon().setStreamSchedule?.(schedule)
/** What is free beyond what is in use now. Only the emulated device can be made smaller. */
function leaveRoom(bytes: number): void {
  trimCudaMemory()
  const { live, total, free } = cudaMemory()
  expect(total - free).toBe(live)
  process.env.TUNESMITH_CUDA_EMULATED_MB = String((live + bytes) / 2 ** 20)
}
function unlimited(): void {
  delete process.env.TUNESMITH_CUDA_EMULATED_MB
  delete process.env.TUNESMITH_CUDA_EMULATED_PINNED_MB
  setSchedule(0)
}

const variable = (values: Float32Array, rows: number, cols: number) =>
  tf.tidy(() => tf.variable(matrix(values, rows, cols)))
const bits = (x: tf.Tensor) => [...new Uint32Array((x.dataSync() as Float32Array).slice().buffer)]

describe.runIf(there)('what moves between the device and the host', () => {
  beforeAll(useNative)
  afterEach(unlimited)

  describe('offloaded activations', () => {
    const [BLOCKS, TOKENS, WIDTH] = [10, 256, 16]
    const INPUT = 4 * TOKENS * WIDTH

    /** One forward and backward pass, its gradients and its peak of device memory beyond what was there before. */
    function step(offload: boolean) {
      const random = new Random(1)
      const weights = Array.from({ length: BLOCKS }, () => variable(normals(random, WIDTH * WIDTH, 0.2), WIDTH, WIDTH))
      const scale = tf.tidy(() => tf.variable(tf.ones([WIDTH]))) as tf.Variable<tf.Rank.R1>
      const x = variable(normals(random, TOKENS * WIDTH), TOKENS, WIDTH)
      for (const weight of [...weights, x]) tf.tidy(() => void tf.add(weight, 0))
      resetCudaPeak()
      const before = cudaMemory().live
      const { value, grads } = valueAndGrads(() => {
        let y = x as tf.Tensor as tf.Tensor2D
        for (const weight of weights) {
          const block = (input: tf.Tensor2D) =>
            tf.tidy(() => tf.add(input, tf.tanh(tf.matMul(rmsNorm(input, scale, { eps: 1e-5, offset: 0 }), weight))))
          const next = checkpoint(block as never, y, [weight, scale], { offload })
          if ((y as tf.Tensor) !== x) y.dispose()
          y = next
        }
        return tf.sum(tf.square(y)) as tf.Scalar
      }, [x, scale, ...weights])
      const { peak, pinned } = cudaMemory()
      const results = [value, ...grads].map(bits)
      tf.dispose([value, ...grads, ...weights, scale, x])
      return { results, peak: peak - before, pinned }
    }

    test.each(SCHEDULES)('the same gradients, bit for bit, with inputs of two blocks on the device (streams %i)', (schedule) => {
      setSchedule(schedule)
      const tensors = tf.memory().numTensors
      const plain = step(false)
      const moved = step(true)
      expect(moved.results).toEqual(plain.results)
      const saved = plain.peak - moved.peak
      expect(saved).toBeGreaterThanOrEqual((BLOCKS - 3) * INPUT)
      // Pinned memory is used again from step to step, and nothing stays.
      expect(step(true).pinned).toBe(moved.pinned)
      expect(moved.pinned).toBeLessThanOrEqual(BLOCKS * INPUT)
      expect(cudaMemory().away).toBe(0)
      expect(tf.memory().numTensors).toBe(tensors)
      trimCudaMemory()
      expect(cudaMemory().pinned).toBe(0)
    })

    test.skipIf(onDevice)('trains where it would not fit', () => {
      const { results, peak } = step(false)
      const weights = 4 * (BLOCKS * WIDTH * WIDTH + TOKENS * WIDTH + WIDTH)
      leaveRoom(Math.round(peak + 1.2 * weights - (BLOCKS - 4) * INPUT))
      expect(() => tf.tidy(() => void step(false))).toThrow(/No GPU memory/)
      expect(step(true).results).toEqual(results)
    })
  })
})
