// The CUDA backend's memory, errors and fallbacks, on the emulated device.
import * as tf from '@tensorflow/tfjs-core'
import { run, useBackend } from '@tunesmith/backend/testing/kernels/harness'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { cudaMemory, cudaReadBacks, diagnoseCuda, registerCudaBackend, resetCudaPeak, trimCudaMemory } from './index'
import { emulateCuda } from './testing/emulated'

const there = emulateCuda('bf16')
const LARGE = 100_000

describe.runIf(there)('the CUDA backend', () => {
  beforeAll(useBackend)
  afterAll(() => vi.restoreAllMocks())

  test('says what it runs on', () => {
    expect(registerCudaBackend()).toMatchObject({ precision: 'bf16' })
    expect(diagnoseCuda().problem).toBeUndefined()
    expect(tf.getBackend()).toBe('cuda')
  })

  test('keeps what a user holds, whatever happens to tensors and arrays', () => {
    const given = Float32Array.from({ length: LARGE }, (_, i) => i % 100)
    const x = tf.tensor1d(given)
    const small = tf.tensor1d(given.subarray(0, 5))
    given.fill(-1)
    const y = tf.add(x, 1)
    const read = y.dataSync()
    const slice = tf.slice1d(y as tf.Tensor1D, 10, 3)
    y.dispose()
    expect([...slice.dataSync()]).toEqual([11, 12, 13])
    read.fill(0)
    expect([...small.dataSync()]).toEqual([0, 1, 2, 3, 4])
    tf.dispose([x, slice, small])
  })

  test('memory is counted by what made it, reused and given back', () => {
    trimCudaMemory()
    resetCudaPeak()
    const before = cudaMemory().live
    const x = tf.tidy(() => tf.add(tf.fill([LARGE], 3), 1))
    const { live, consumers } = cudaMemory()
    expect(live - before).toBeGreaterThanOrEqual(4 * LARGE)
    expect(consumers.map(({ name }) => name)).toContain('Add')
    x.dispose()
    trimCudaMemory()
    expect(cudaMemory()).toMatchObject({ live: before, cached: 0 })
    expect(cudaMemory().peak).toBeGreaterThan(before)
  })

  test('out of memory: the largest consumers, and what to do', () => {
    const held = tf.fill([2_000_000], 1)
    try {
      expect(() => tf.fill([2 ** 38], 1)).toThrow(
        /No GPU memory for 1024\.00 GiB \(Fill\).*Largest: .*Fill 7\.\d MiB in/,
      )
      expect(() => tf.fill([2 ** 38], 1)).toThrow(/gradient checkpointing/)
    } finally {
      held.dispose()
    }
  })

  test.skipIf(process.env.TUNESMITH_CUDA_DEVICE_TESTS === '1')(
    'a kernel that fails gives back what it had made',
    () => {
      const x = tf.fill([200, 400], 1)
      const labels = tf.fill([200], 1, 'int32')
      const weight = tf.fill([300, 400], 0.1)
      const attrs = { format: 'f32', outFeatures: 300, inFeatures: 400 }
      const loss = () => tf.tidy(() => void run('LinearCrossEntropy', { hidden: x, labels, weight }, attrs))
      loss()
      trimCudaMemory()
      const { live } = cudaMemory()
      // Room for the outputs, and not for the logits.
      process.env.TUNESMITH_CUDA_EMULATED_MB = String((live + 64 * 1024) / 2 ** 20)
      expect(loss).toThrow(/LinearCrossEntropy: No GPU memory/)
      delete process.env.TUNESMITH_CUDA_EMULATED_MB
      expect(cudaMemory().live).toBe(live)
      tf.dispose([x, labels, weight])
    },
  )

  test('an operation without a kernel runs on the CPU and says so once', () => {
    const warned = vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
    const x = tf.fill([LARGE], 0.5)
    for (let i = 0; i < 2; i++) expect(tf.tidy(() => tf.sin(x).dataSync()[7])).toBeCloseTo(Math.sin(0.5), 5)
    expect(cudaReadBacks()).toEqual(['Sin'])
    expect(warned).toHaveBeenCalledTimes(1)
    // What is small stays on the host; nothing has to come back.
    tf.tidy(() => tf.sin(tf.mul(tf.tensor1d([1, 2]), 2)).dataSync())
    expect(warned).toHaveBeenCalledTimes(1)
    x.dispose()
  })

  test('what a CPU kernel writes after it made its result arrives, large as it may be', () => {
    vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
    const sums = tf.tidy(() => tf.einsum('ij->j', tf.fill([3, LARGE], 2)))
    expect(tf.tidy(() => tf.add(sums, 1).dataSync()[LARGE - 1])).toBe(7)
    sums.dispose()
  })

  test('the operations around our kernels', () => {
    tf.tidy(() => {
      const x = tf.add(tf.reshape(tf.range(0, 20_000), [100, 200]), tf.fill([100, 200], 0)) as tf.Tensor2D
      const at = (tensor: tf.Tensor, i: number) => tensor.dataSync()[i]
      expect(at(tf.transpose(x), 1)).toBe(200)
      expect(at(tf.slice(x, [3, 5], [2, 4]), 4)).toBe(805)
      expect(at(tf.concat([x, x], 1), 200)).toBe(0)
      expect(at(tf.gather(x, tf.tensor1d([7, 2], 'int32')), 200)).toBe(400)
      expect(at(tf.sum(x, 0), 1)).toBe(990_100)
      expect(at(tf.mean(x), 0)).toBeCloseTo(9999.5, 2)
      expect(at(tf.cast(tf.fill([20_000], 3, 'int32'), 'float32'), 9)).toBe(3)
      expect(at(tf.matMul(x, tf.ones([200, 2])), 2)).toBe(59_900)
      expect(at(tf.zerosLike(x), 5)).toBe(0)
    })
  })

  test('wrong calls are errors that name the kernel', () => {
    const ints = (values: number[]) => tf.tensor1d(values, 'int32')
    const f32 = { format: 'f32', outFeatures: 3, inFeatures: 4 }
    const cases: [RegExp, () => unknown][] = [
      [
        /EmbeddingLookup: .*ids inside the table/,
        () => run('EmbeddingLookup', { ids: ints([3]), weight: tf.ones([3, 4]) }, f32),
      ],
      [
        /LinearCrossEntropy: .*labels inside/,
        () => run('LinearCrossEntropy', { hidden: tf.ones([1, 4]), labels: ints([3]), weight: tf.ones([3, 4]) }, f32),
      ],
      [
        /KvCacheUpdate: .*rows inside/,
        () => run('KvCacheUpdate', { cache: tf.zeros([2, 3]), x: tf.ones([1, 3]), rows: ints([2]) }),
      ],
      [
        /CausalAttention: .*sequences inside/,
        () =>
          run(
            'CausalAttention',
            { q: tf.ones([5, 8]), k: tf.ones([5, 4]), v: tf.ones([5, 4]), cuSeqlens: ints([0, 9]) },
            { numHeads: 2, numKvHeads: 1, headDim: 4, scale: 1 },
          ),
      ],
      [/Linear: .*"x" must have shape/, () => run('Linear', { x: tf.ones([2, 5]), weight: tf.ones([3, 4]) }, f32)],
    ]
    for (const [message, call] of cases) expect(() => tf.tidy(() => void call())).toThrow(message)
  })
})
