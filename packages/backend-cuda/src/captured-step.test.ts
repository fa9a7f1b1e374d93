// Captured steps on the emulated device: what is repeated, what is refused, and memory.
import * as tf from '@tensorflow/tfjs-core'
import { compileStep, kvCacheUpdate, type StepInput } from '@tunesmith/backend'
import { useBackend } from '@tunesmith/backend/testing/kernels/harness'
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { cudaMemory, trimCudaMemory } from './index'
import { emulateCuda } from './testing/emulated'

const there = emulateCuda('bf16')
const WIDTH = 512
const LARGE = 100_000

describe.runIf(there)('captured steps', () => {
  const warned = vi.spyOn(process, 'emitWarning')
  beforeAll(useBackend)
  beforeEach(() => {
    warned.mockReset().mockImplementation(() => {})
  })
  afterAll(() => vi.restoreAllMocks())

  const input: { x: StepInput } = { x: { shape: [WIDTH], dtype: 'float32' } }
  const values = (start: number) => ({ x: Float32Array.from({ length: WIDTH }, (_, i) => start + i / 8) })

  test('repeat what they were captured with on new inputs, and read tensors anew', () => {
    const weight = tf.tidy(() => tf.variable(tf.fill<tf.Rank.R1>([WIDTH], 2)))
    // A temporary of another size in between: the memory of one launch must not be read by the next.
    const step = compileStep(({ x }) => tf.add(tf.mul(tf.mul(x, 3), weight), tf.sum(tf.neg(x), 0)), input)
    const sumOf = (x: Float32Array) => x.reduce((sum, value) => sum + value, 0)
    for (let run = 0; run < 6; run++) {
      if (run === 4) tf.tidy(() => weight.assign(tf.fill([WIDTH], 5)))
      const given = values(run)
      const got = step.run(given).dataSync()
      const factor = run < 4 ? 6 : 15
      expect(got[9]! - (factor * given.x[9]! - sumOf(given.x))).toBeCloseTo(0, 1)
    }
    step.dispose()
    weight.dispose()
    expect(warned).not.toHaveBeenCalled()
  })

  test('check what the host checks before every launch, and then write nothing', () => {
    const cache = tf.tidy(() => tf.variable(tf.fill<tf.Rank.R2>([4, WIDTH], 0)))
    const step = compileStep(
      ({ x, rows }) => {
        kvCacheUpdate(cache, tf.reshape(x, [1, WIDTH]) as tf.Tensor2D, rows as tf.Tensor1D)
        return tf.mul(x, 1)
      },
      { ...input, rows: { shape: [1], dtype: 'int32' } },
    )
    const run = (row: number) => step.run({ ...values(row + 1), rows: Int32Array.of(row) })
    for (const row of [0, 1, 2]) run(row)
    for (const row of [4, -1]) expect(() => run(row)).toThrow(/rows inside the cache/)
    run(3)
    expect([0, 1, 2, 3].map((row) => cache.dataSync()[row * WIDTH])).toEqual([1, 2, 3, 4])
    step.dispose()
    cache.dispose()
  })

  test('that read back or upload are not captured, and the warning names the operation', () => {
    const cases: [RegExp, (x: tf.Tensor) => tf.Tensor][] = [
      [/Sin reads values back/, (x) => tf.sin(x)],
      [/the step reads values back/, (x) => tf.mul(x, x.dataSync()[0]!)],
      [/Multiply brings values from the host/, (x) => tf.mul(x, tf.range(0, WIDTH))],
    ]
    for (const [message, f] of cases) {
      warned.mockClear()
      const before = { tensors: tf.memory().numTensors, live: cudaMemory().live }
      const step = compileStep(({ x }) => f(x), input)
      for (let run = 0; run < 4; run++) {
        const given = values(run)
        const want = tf.tidy(() => f(tf.add(tf.tensor1d(given.x), tf.fill([WIDTH], 0))).dataSync())
        expect(step.run(given).dataSync()).toEqual(want)
      }
      step.dispose()
      const said = warned.mock.calls.map(String).filter((text) => text.includes('CUDA graph'))
      expect(said).toEqual([expect.stringMatching(message)])
      expect({ tensors: tf.memory().numTensors, live: cudaMemory().live, message }).toEqual({ ...before, message })
    }
  })

  test('keep their memory while they live, and give all of it back', () => {
    trimCudaMemory()
    const before = cudaMemory().live
    const step = compileStep(({ x }) => tf.sum(tf.mul(tf.mul(tf.fill([LARGE], 1), x), 2)), {
      x: { shape: [], dtype: 'float32' },
    })
    const run = () => step.run({ x: Float32Array.of(3) }).dataSync()[0]
    const wanted = LARGE * 3 * 2
    expect(run()).toBeCloseTo(wanted, -2)
    run()
    const { live, consumers } = cudaMemory()
    expect(live - before).toBeGreaterThan(4 * LARGE)
    expect(consumers.find(({ name }) => name === 'captured steps')!.bytes).toBeGreaterThan(4 * LARGE)
    trimCudaMemory()
    expect(run()).toBeCloseTo(wanted, -2)
    step.dispose()
    trimCudaMemory()
    expect(cudaMemory()).toMatchObject({ live: before, cached: 0 })
    expect(cudaMemory().consumers.map(({ name }) => name)).not.toContain('captured steps')
  })

  test('are captured again when a tensor they use was released', () => {
    let weight = tf.fill([WIDTH], 2)
    const step = compileStep(({ x }) => tf.mul(x, weight), input)
    for (let run = 0; run < 3; run++) step.run(values(run))
    weight.dispose()
    weight = tf.fill([WIDTH], 7)
    for (let run = 0; run < 4; run++) expect(step.run(values(run)).dataSync()[8]).toBe(7 * (run + 1))
    step.dispose()
    weight.dispose()
    expect(warned).not.toHaveBeenCalled()
  })

  test.skipIf(process.env.TUNESMITH_CUDA_DEVICE_TESTS === '1')('without memory for a capture go on without one', () => {
    trimCudaMemory()
    const side = 512
    // Two temporaries at a time; what a plain run leaves in the cache is gone, and a capture gives nothing back for more.
    const step = compileStep(
      ({ x }) => tf.sum(tf.matMul(tf.add(x, tf.fill([side, side], 1)) as tf.Tensor2D, x as tf.Tensor2D)),
      {
        x: { shape: [side, side], dtype: 'float32' },
      },
    )
    const run = () => step.run({ x: new Float32Array(side * side).fill(1) }).dataSync()[0]
    const sum = run()
    trimCudaMemory()
    const { live, total } = cudaMemory()
    vi.stubEnv('TUNESMITH_CUDA_EMULATED_MB', String((live + 1.5 * side * side * 4) / 2 ** 20))
    expect(() => run()).toThrow(/No GPU memory/)
    expect(warned.mock.calls.map(String).join()).toMatch(/without a CUDA graph.*No GPU memory/)
    vi.unstubAllEnvs()
    expect(total).toBeGreaterThan(live)
    expect(run()).toBe(sum)
    step.dispose()
    expect(cudaMemory().live).toBeLessThan(live)
  })

  test('are not captured where the user does not want it', () => {
    vi.stubEnv('TUNESMITH_CUDA_GRAPHS', '0')
    const before = tf.memory().numTensors
    const step = compileStep(({ x }) => tf.sin(x), input)
    for (let run = 0; run < 3; run++) step.run(values(run))
    expect(tf.memory().numTensors).toBe(before + 1)
    step.dispose()
    vi.unstubAllEnvs()
    expect(tf.memory().numTensors).toBe(before)
    expect(warned.mock.calls.map(String).join()).not.toContain('CUDA graph')
  })
})
