import { appendFileSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as tf from '@tensorflow/tfjs-core'
import { mapWeight, packedWeight, weightAttrs } from '@tunesmith/backend'
import { isTunesmithError, Random } from '@tunesmith/core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { loadAddon } from './addon'
import { nativeMemory, registerNativeBackend, resetNativePeak, setNumThreads, trimNativeMemory } from './index'
import { normals, run, useBackend } from './testing/native'

beforeAll(useBackend)

const LARGE = 100_000

describe('a weight in place in its file', () => {
  let folder: string
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'tunesmith-mapped-'))
  })
  afterAll(() => rmSync(folder, { recursive: true }))

  /** A file of `header` bytes and then [512, 1024] float32 that count up. */
  function written(header: number): { file: string; values: Float32Array } {
    const values = Float32Array.from({ length: 512 * 1024 }, (_, i) => i)
    const file = join(folder, `weights-${header}`)
    writeFileSync(file, new Uint8Array(header))
    appendFileSync(file, new Uint8Array(values.buffer))
    return { file, values }
  }

  test('has the bytes of the file, at any word, also when another file takes its name', () => {
    for (const header of [0, 8, 4096, 10_012]) {
      const { file, values } = written(header)
      const bytes = mapWeight(file, header, values.byteLength)!
      const weight = packedWeight({ format: 'f32', outFeatures: 512, inFeatures: 1024, bytes })
      writeFileSync(`${file}.new`, 'something else')
      renameSync(`${file}.new`, file)
      const x = tf.oneHot(tf.tensor1d([3, 1023], 'int32'), 1024) as tf.Tensor2D
      const [y] = run('Linear', { x: tf.cast(x, 'float32'), weight: weight.weight }, weightAttrs(weight))
      expect(y!.arraySync()).toEqual(
        [3, 1023].map((column) => Array.from({ length: 512 }, (_, i) => 1024 * i + column)),
      )
    }
  })

  test('what is written to it stays in this process', () => {
    const { file, values } = written(64)
    mapWeight(file, 64, values.byteLength)!.fill(7)
    expect(new Float32Array(readFileSync(file).buffer.slice(64))[5]).toBe(5)
  })

  test('is read where it cannot be: small, between words, beyond the end, no file', () => {
    const { file, values } = written(64)
    expect(mapWeight(file, 64, 4096)).toBeUndefined()
    expect(mapWeight(file, 62, values.byteLength)).toBeUndefined()
    expect(mapWeight(file, 64, values.byteLength + 4)).toBeUndefined()
    expect(mapWeight(file, 2 ** 40, values.byteLength)).toBeUndefined()
    expect(mapWeight(join(folder, 'absent'), 64, values.byteLength)).toBeUndefined()
    expect(mapWeight(folder, 64, values.byteLength)).toBeUndefined()
  })
})

describe('memory', () => {
  test('what a user holds never changes when buffers are reused', () => {
    const given = normals(new Random(1), LARGE)
    const copy = given.slice()
    const x = tf.tensor1d(given)
    const y = tf.add(x, 1)
    const read = y.dataSync()
    const slice = tf.slice1d(y as tf.Tensor1D, 10, 20)
    const part = slice.dataSync().slice()
    y.dispose()
    const z = tf.mul(x, 3)
    expect(read[5]).toBeCloseTo(copy[5]! + 1, 5)
    expect(slice.dataSync()).toEqual(part)
    expect(given).toEqual(copy)
    read.fill(0)
    z.dataSync().fill(0)
    expect(z.dataSync()[7]).toBeCloseTo(copy[7]! * 3, 5)
    tf.dispose([x, slice, z])
  })

  test('a view made by a kernel of the CPU backend outlives the tensor it came from', () => {
    const x = tf.add(tf.range(0, LARGE), 0)
    const pieces = tf.split(x, 4)
    x.dispose()
    const other = tf.zeros([LARGE])
    const more = tf.add(other, 5)
    expect(pieces[1]!.dataSync()[0]).toBe(LARGE / 4)
    tf.dispose([...pieces, other, more])
  })

  test('is counted, reused, and given back', () => {
    trimNativeMemory()
    resetNativePeak()
    const before = nativeMemory()
    const x = tf.add(tf.zeros([LARGE]), 1)
    const used = nativeMemory().live - before.live
    expect(used).toBeGreaterThanOrEqual(4 * LARGE)
    expect(used).toBeLessThan(4.6 * LARGE)
    x.dispose()
    expect(nativeMemory()).toMatchObject({ live: before.live, pooled: used })
    const y = tf.add(tf.zeros([LARGE]), 2)
    expect(nativeMemory()).toMatchObject({ live: before.live + used, pooled: 0, peak: before.live + used })
    y.dispose()
    trimNativeMemory()
    expect(nativeMemory().pooled).toBe(0)
  })

  test('stays level over hundreds of rounds of changing sizes', () => {
    const random = new Random(3)
    trimNativeMemory()
    resetNativePeak()
    const tensors = tf.memory().numTensors
    for (let i = 0; i < 300; i++)
      tf.tidy(() => {
        const x = tf.ones<tf.Rank.R2>([100 + random.int(200), 512])
        tf.sum(tf.softmax(tf.add(tf.mul(x, 2), 1)))
      })
    const { live, pooled, peak } = nativeMemory()
    expect(tf.memory().numTensors).toBe(tensors)
    expect(live).toBeLessThan(1e6)
    expect(pooled).toBeLessThan(peak + 129 * 1024 * 1024)
  })

  test('a tensor larger than any memory is an error that says so', () => {
    const failure = catching(() => loadAddonOutput(2 ** 45))
    expect(failure.code).toBe('out_of_memory')
    expect(failure.message).toMatch(/checkpointing/)
  })
})

function catching(f: () => unknown): { code: string; message: string } {
  try {
    f()
  } catch (error) {
    if (isTunesmithError(error)) return error
    throw error
  }
  throw new Error('nothing was thrown')
}

function loadAddonOutput(elements: number): void {
  const backend = tf.backend() as unknown as { pool: { allocate(bytes: number): ArrayBuffer } }
  backend.pool.allocate(elements * 4)
}

describe('wrong calls are TunesmithErrors that name the kernel and the input', () => {
  const f32 = { format: 'f32', outFeatures: 3, inFeatures: 4, blockSize: 0 }
  const ints = (values: number[]) => tf.tensor1d(values, 'int32')
  const attention = { numHeads: 2, numKvHeads: 1, headDim: 4, scale: 1, slidingWindow: 0, softcap: 0 }
  const q = () => ({ q: tf.ones([5, 8]), k: tf.ones([5, 4]), v: tf.ones([5, 4]) })
  const cases: [string, RegExp, () => unknown][] = [
    ['a missing input', /"x" is missing/, () => run('Linear', { weight: tf.ones([3, 4]) }, f32)],
    ['a wrong rank', /"x" must have shape/, () => run('Linear', { x: tf.ones([4]), weight: tf.ones([3, 4]) }, f32)],
    ['a wrong width', /"x" must have shape/, () => run('Linear', { x: tf.ones([2, 5]), weight: tf.ones([3, 4]) }, f32)],
    [
      'a wrong type',
      /must be float32/,
      () => run('Linear', { x: tf.ones([2, 4], 'int32'), weight: tf.ones([3, 4]) }, f32),
    ],
    [
      'a weight that is too short',
      /int32 \[6\]/,
      () => run('Linear', { x: tf.ones([2, 4]), weight: ints([1, 2]) }, { ...f32, format: 'bf16' }),
    ],
    [
      'an unknown format',
      /unknown weight format "q9"/,
      () => run('Linear', { x: tf.ones([2, 4]), weight: ints([1]) }, { ...f32, format: 'q9' }),
    ],
    [
      'scales that are missing',
      /"absmax" is missing/,
      () => run('Linear', { x: tf.ones([2, 4]), weight: ints([1, 2]) }, { ...f32, format: 'nf4', blockSize: 64 }),
    ],
    [
      'an id outside the table',
      /ids inside the table/,
      () => run('EmbeddingLookup', { ids: ints([0, 3]), weight: tf.ones([3, 4]) }, f32),
    ],
    [
      'a label outside the vocabulary',
      /labels inside/,
      () => run('LinearCrossEntropy', { hidden: tf.ones([1, 4]), labels: ints([3]), weight: tf.ones([3, 4]) }, f32),
    ],
    [
      'sequences beyond the tokens',
      /sequences inside/,
      () => run('CausalAttention', { ...q(), cuSeqlens: ints([0, 9]) }, attention),
    ],
    [
      'sequences that run backwards',
      /sequences inside/,
      () => run('CausalAttention', { ...q(), cuSeqlens: ints([0, 4, 2, 5]) }, attention),
    ],
    [
      'keys beyond the cache',
      /sequences inside/,
      () =>
        run('CausalAttention', { ...q(), cuSeqlens: ints([0, 5]), kvStart: ints([2]), kvLength: ints([5]) }, attention),
    ],
    [
      'heads that do not divide',
      /share kv heads/,
      () =>
        run(
          'CausalAttention',
          { q: tf.ones([5, 12]), k: tf.ones([5, 8]), v: tf.ones([5, 8]), cuSeqlens: ints([0, 5]) },
          { ...attention, numHeads: 3, numKvHeads: 2 },
        ),
    ],
    [
      'dropout of everything',
      /dropout probability/,
      () =>
        run(
          'LoraLinear',
          { x: tf.ones([2, 4]), weight: tf.ones([3, 4]), loraA: tf.ones([1, 4]), loraB: tf.ones([3, 1]) },
          { ...f32, scaling: 1, dropout: 1, seed: 0 },
        ),
    ],
    [
      'a cache row that is not there',
      /rows inside/,
      () => run('KvCacheUpdate', { cache: tf.zeros([2, 3]), x: tf.ones([1, 3]), rows: ints([2]) }),
    ],
    [
      'a step before the first',
      /step counts from 1/,
      () =>
        run(
          'AdamWSteps',
          { param0: tf.ones([2]), grad0: tf.ones([2]), expAvg0: tf.ones([2]), expAvgSq0: tf.ones([2]) },
          { lr: 1, beta1: 0, beta2: 0, eps: 0, weightDecay: 0, step: 0, gradScale: 1 },
        ),
    ],
    ['a list with a gap', /input "x1" is missing/, () => run('GradNorm', { x0: tf.ones([2]), x2: tf.ones([2]) })],
    ['threads below one', /at least 1/, () => setNumThreads(0)],
  ]
  test.each(cases)('%s', (_, message, call) => {
    const failure = catching(() => tf.tidy(() => void call()))
    expect(failure.message).toMatch(message)
    expect(['invalid_data', 'invalid_options']).toContain(failure.code)
  })

  test('the addon itself refuses what does not fit, whoever calls it', () => {
    const addon = loadAddon()
    const x = new Float32Array(4)
    const softmax = addon.bind('softmax', ['rows', 'cols', 'x', 'y']) as (...values: unknown[]) => boolean
    expect(() => softmax(2, 3, x, x)).toThrow(/"x": expected .* at least 6 elements/)
    expect(() => softmax(2 ** 40, 2 ** 40, x, x)).toThrow(/smaller size/)
    expect(() => softmax(-1, 3, x, x)).toThrow(/"rows": expected a count/)
    expect(() => softmax(1.5, 3, x, x)).toThrow(/a count/)
    expect(() => softmax(1, 3, [1, 2, 3], x)).toThrow(/Float32Array/)
    expect(() => softmax()).toThrow(/"rows": expected/)
    expect(() => addon.bind('softmax', ['rows', 'x', 'y'])!(1, x, x)).toThrow(/"cols": expected a count/)
    expect(addon.bind('nothing of that name', [])).toBeUndefined()
  })

  test('nothing to do is done: no tokens, no features', () => {
    expect(run('Linear', { x: tf.zeros([0, 4]), weight: tf.ones([3, 4]) }, f32)[0]!.shape).toEqual([0, 3])
    const empty = run('Linear', { x: tf.zeros([2, 0]), weight: tf.zeros([3, 0]) }, { ...f32, inFeatures: 0 })
    expect([...empty[0]!.dataSync()]).toEqual([0, 0, 0, 0, 0, 0])
    expect(run('RMSNorm', { x: tf.zeros([0, 4]), weight: tf.ones([4]) }, { eps: 1e-6, offset: 0 })[0]!.shape).toEqual([
      0, 4,
    ])
    const none = { q: tf.zeros([0, 8]), k: tf.zeros([0, 4]), v: tf.zeros([0, 4]), cuSeqlens: ints([0]) }
    expect(run('CausalAttention', none, attention)[0]!.shape).toEqual([0, 8])
  })
})

test('what is registered: one kernel for every one of TensorFlow.js, and ours', () => {
  const info = registerNativeBackend()
  expect(info.name).toBe('native')
  expect(['amx', 'avx512_bf16', 'avx512', 'avx2', 'base']).toContain(info.isa)
  expect(info.threads).toBeGreaterThan(0)
  const names = (backend: string) => tf.getKernelsForBackend(backend).map(({ kernelName }) => kernelName)
  const native = new Set(names('native'))
  expect(names('cpu').filter((name) => !native.has(name))).toEqual([])
  expect([...native].filter((name) => name.startsWith('Tunesmith')).length).toBe(22)
})
