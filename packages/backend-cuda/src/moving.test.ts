// Activations that leave the device while the next block computes, and optimizer states that leave it when memory is short: the
// same bits as on a device that has room, whatever stream comes first.
import * as tf from '@tensorflow/tfjs-core'
import {
  type AdamW8bitState,
  adamW8bitStep,
  adamWStep,
  adamWSteps,
  checkpoint,
  createAdamW8bitState,
  markOptimizerState,
  offloadTensor,
  prefetchTensor,
  rmsNorm,
  valueAndGrads,
} from '@tunesmith/backend'
import { matrix, normals, useBackend } from '@tunesmith/backend/testing/kernels/harness'
import { Random } from '@tunesmith/core'
import { afterEach, beforeAll, describe, expect, test } from 'vitest'
import { loadCudaAddon } from './addon'
import { cudaMemory, resetCudaPeak, trimCudaMemory } from './index'
import { emulateCuda } from './testing/emulated'

const there = emulateCuda('f32')
const onDevice = process.env.TUNESMITH_CUDA_DEVICE_TESTS === '1'
/** Nothing before it is waited for; the compute stream early; the copies early; everything at once. */
const SCHEDULES = onDevice ? [0] : [0, 1, 2, 3]
const KIB = 1024
/** Elements of a tensor that is made on the device; small ones begin on the host. */
const N = 32 * KIB

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
  beforeAll(useBackend)
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

    test.each(SCHEDULES)(
      'the same gradients, bit for bit, with inputs of two blocks on the device (streams %i)',
      (schedule) => {
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
      },
    )

    test.skipIf(onDevice)('trains where it would not fit', () => {
      const { results, peak } = step(false)
      const weights = 4 * (BLOCKS * WIDTH * WIDTH + TOKENS * WIDTH + WIDTH)
      leaveRoom(Math.round(peak + 1.2 * weights - (BLOCKS - 4) * INPUT))
      expect(() => tf.tidy(() => void step(false))).toThrow(/No GPU memory/)
      expect(step(true).results).toEqual(results)
    })
  })

  describe('pageable optimizer states', () => {
    const [COUNT, ROWS, COLS] = [6, 64, 64]
    const SIZE = ROWS * COLS
    const hyper = { lr: 0.01, beta1: 0.9, beta2: 0.99, eps: 1e-8, weightDecay: 0.1, gradScale: 0.5 }
    type Moments = [tf.Variable, tf.Variable]
    const zeros = () => tf.tidy(() => tf.variable(tf.fill([ROWS, COLS], 0)))

    /** Three steps of all parameters; parameters and moments at the end. */
    function train(
      pageable: boolean | undefined,
      update: (params: tf.Variable[], grads: tf.Tensor[], moments: Moments[], step: number) => void,
    ) {
      const random = new Random(5)
      const params = Array.from({ length: COUNT }, () => variable(normals(random, SIZE), ROWS, COLS))
      const moments: Moments[] = []
      const made: tf.Tensor[] = [...params]
      try {
        for (let step = 1; step <= 3; step++) {
          const grads = params.map(() => tf.tidy(() => tf.mul(matrix(normals(random, SIZE), ROWS, COLS), 1)))
          made.push(...grads)
          for (let i = 0; step === 1 && i < COUNT; i++) {
            moments.push([zeros(), zeros()])
            made.push(...moments[i]!)
            if (pageable !== undefined) for (const moment of moments[i]!) markOptimizerState(moment, pageable)
          }
          update(params, grads, moments, step)
          tf.dispose(grads)
        }
        return { results: [...params, ...moments.flat()].map(bits), away: cudaMemory().away }
      } finally {
        tf.dispose(made)
      }
    }
    const oneByOne = (params: tf.Variable[], grads: tf.Tensor[], moments: Moments[], step: number) =>
      params.forEach((param, i) => {
        adamWStep(param, grads[i]!, ...moments[i]!, { ...hyper, step })
      })
    /** All in one launch, which is made in parts where they do not fit. */
    const together = (params: tf.Variable[], grads: tf.Tensor[], moments: Moments[], step: number) => {
      const updates = params.map((param, i) => {
        const [expAvg, expAvgSq] = moments[i]!
        return { param, grad: grads[i]!, expAvg, expAvgSq }
      })
      adamWSteps(updates, { ...hyper, step })
    }

    test.skipIf(onDevice).each(SCHEDULES)('the same bits where not all of them fit (streams %i)', (schedule) => {
      const before = cudaMemory().live
      const { results } = train(undefined, oneByOne)
      setSchedule(schedule)
      // Parameters and gradients, and the moments of two parameters of six.
      const room = 4 * SIZE * (2 * COUNT + 4) + 64
      leaveRoom(room)
      expect(() => train(false, oneByOne)).toThrow(/No GPU memory .* optimizer state/)
      for (const update of [oneByOne, together]) {
        leaveRoom(room)
        resetCudaPeak()
        const paged = train(true, update)
        expect(paged.results).toEqual(results)
        expect(paged.away).toBeGreaterThanOrEqual(4 * SIZE * (2 * COUNT - 4))
        expect(cudaMemory().peak - before).toBeLessThanOrEqual(room)
        expect(cudaMemory().away).toBe(0)
      }
      trimCudaMemory()
      expect(cudaMemory()).toMatchObject({ live: before, pinned: 0 })
    })

    test.skipIf(onDevice)('nothing moves where everything fits, and is counted as optimizer state', () => {
      const step = (...given: Parameters<typeof oneByOne>) => {
        oneByOne(...given)
        const consumer = cudaMemory().consumers.find(({ name }) => name === 'optimizer state')
        expect(consumer).toMatchObject({ bytes: 2 * COUNT * 4 * SIZE, count: 2 * COUNT })
      }
      expect(train(true, step)).toMatchObject({ results: train(undefined, oneByOne).results, away: 0 })
      expect(cudaMemory().pinned).toBe(0)
    })

    test.skipIf(onDevice)('8-bit states', () => {
      const run = (pageable: boolean) => {
        const random = new Random(7)
        const maps = [-1, 0].map((low) =>
          tf.tensor1d(Float32Array.from({ length: 256 }, (_, i) => (low ? i - 127 : i) / 255)),
        )
        const params = Array.from({ length: COUNT }, () => variable(normals(random, SIZE), ROWS, COLS))
        const states = params.map(() => createAdamW8bitState({ size: SIZE, qmap1: maps[0]!, qmap2: maps[1]! }))
        const tensors = ({ state1, state2, absmax1, absmax2 }: AdamW8bitState) => [state1, state2, absmax1, absmax2]
        // Marked before they are on the device.
        for (const x of states.flatMap(tensors)) markOptimizerState(x, pageable)
        for (let step = 1; step <= 2; step++)
          params.forEach((param, i) => {
            const grad = tf.tidy(() => tf.mul(matrix(normals(random, SIZE), ROWS, COLS), 1))
            adamW8bitStep(param, grad, states[i]!, { ...hyper, step })
            grad.dispose()
          })
        const results = [...params, ...states.flatMap(tensors)].map((x) => [...x.dataSync()])
        const { away } = cudaMemory()
        tf.dispose([...maps, ...params, ...states.flatMap(tensors)])
        return { results, away }
      }
      const { results } = run(false)
      leaveRoom(4 * SIZE * (COUNT + 1) + 3 * 2 * SIZE + 8 * KIB)
      const paged = run(true)
      expect(paged.results).toEqual(results)
      expect(paged.away).toBeGreaterThan(0)
    })
  })

  test.skipIf(onDevice)('no pinned memory: an error for what was asked to leave', () => {
    const x = tf.fill([N], 3)
    // The slots of ordinary copies have theirs.
    for (let i = 0; i < 5; i++) tf.tidy(() => void tf.add(x, i).dataSync())
    process.env.TUNESMITH_CUDA_EMULATED_PINNED_MB = '0'
    expect(() => offloadTensor(x)).toThrow(/No pinned host memory.*activationOffloading/)
    delete process.env.TUNESMITH_CUDA_EMULATED_PINNED_MB
    offloadTensor(x)
    prefetchTensor(x)
    expect(x.dataSync()[N - 1]).toBe(3)
    x.dispose()
  })

  test('a tensor that is away is read where it is, shared, and given back', () => {
    const { away, live } = cudaMemory()
    const [x, y] = [tf.fill([N], 3), tf.fill([N], 4)]
    const same = tf.reshape(x, [2, N / 2])
    offloadTensor(x)
    offloadTensor(y)
    expect(cudaMemory().away - away).toBe(4 * N)
    expect(same.dataSync()[5]).toBe(3)
    expect(cudaMemory().away - away).toBe(4 * N)
    expect(tf.tidy(() => tf.add(same, 1).dataSync()[7])).toBe(4)
    expect(cudaMemory().away).toBe(away)
    offloadTensor(x)
    offloadTensor(y)
    tf.dispose([x, same, y])
    expect(cudaMemory()).toMatchObject({ away, live })
  })
})
