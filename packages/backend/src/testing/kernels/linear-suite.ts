import * as tf from '@tensorflow/tfjs-core'
import { Random } from '@tunesmith/core'
import { beforeAll, describe, expect, test } from 'vitest'
import { backendUnderTest, expectClose, matrix, normals, property, run, setThreads, useBackend } from './harness'
import { dropoutMask, product } from './reference'
import { FORMATS, nearest, randomWeight } from './weights'

beforeAll(useBackend)

// What only the native backend has: threads, packed panels, caches.
const nativeTest = backendUnderTest() === 'native' ? test : () => {}

const SIZES = [1, 2, 3, 5, 8, 13, 14, 15, 16, 17, 28, 31, 33, 48, 65, 127, 130]

describe.each(FORMATS)('a %s weight', (format) => {
  test('forward, with and without bias, and the gradient of x', () => {
    property(12, (random) => {
      const [tokens, out, inn] = [random.pick(SIZES), random.pick(SIZES), random.pick([...SIZES, 256, 300, 520])]
      const blockSize = random.pick([16, 64, 50])
      const w = randomWeight(random, format, out, inn, blockSize)
      const x = normals(random, tokens * inn)
      const bias = random.int(2) ? normals(random, out) : undefined
      const want = product(x, w.values, tokens, out, inn, false, true)
      if (bias) for (let i = 0; i < want.length; i++) want[i]! += bias[i % out]!
      const what = `${format} ${tokens}x${inn}x${out}`
      const [y] = run('Linear', { x: matrix(x, tokens, inn), ...w.inputs, bias: bias && tf.tensor1d(bias) }, w.attrs)
      expectClose(y!, want, 1e-5, what)
      const dy = normals(random, tokens * out)
      const [dx] = run('LinearGrad', { dy: matrix(dy, tokens, out), ...w.inputs }, w.attrs)
      expectClose(dx!, product(dy, w.values, tokens, inn, out), 1e-5, `${what} gradient`)
    })
  })

  nativeTest('a few rows: each has the same bits alone as among up to sixteen', () => {
    for (const [out, inn, blockSize] of [
      [21, 256, 64],
      [9, 96, 32],
      [6, 83, 50],
    ] as const) {
      const random = new Random(inn)
      const w = randomWeight(random, format, out, inn, blockSize)
      const x = normals(random, 16 * inn)
      const y = (first: number, count: number) => {
        const rows = matrix(x.slice(first * inn, (first + count) * inn), count, inn)
        return run('Linear', { x: rows, ...w.inputs }, w.attrs)[0]!
      }
      const alone = Array.from({ length: 16 }, (_, row) => [...y(row, 1).dataSync()])
      for (const count of [2, 3, 4, 5, 8, 11, 16])
        expect([...y(0, count).dataSync()]).toEqual(alone.slice(0, count).flat())
      expectClose(y(0, 16), product(x, w.values, 16, out, inn, false, true), 1e-5)
    }
  })

  test('its rows, as a table and by number', () => {
    property(4, (random) => {
      const [rows, cols] = [random.pick(SIZES), random.pick(SIZES)]
      const w = randomWeight(random, format, rows, cols, random.pick([16, 64, 50]))
      const [from, to] = [random.int(rows), rows]
      const [part] = run('Dequantize', w.inputs, { ...w.attrs, rowStart: from, rowEnd: to })
      expectClose(part!, w.values.slice(from * cols, to * cols), 1e-7)
      const ids = Int32Array.from({ length: 9 }, () => random.int(rows))
      const [looked] = run('EmbeddingLookup', { ...w.inputs, ids: tf.tensor1d(ids, 'int32') }, w.attrs)
      const want = [...ids].flatMap((id) => [...w.values.slice(id * cols, (id + 1) * cols)])
      expectClose(looked!, want, 1e-7)
    })
  })

  test('LoRA forward and backward, with dropout', () => {
    property(6, (random, seed) => {
      const [tokens, out, inn] = [random.pick(SIZES), random.pick(SIZES), random.pick([...SIZES, 300])]
      const [rank, scaling, dropout] = [
        random.pick([1, 4, 8, 16, 33]),
        0.5 + random.uniform(),
        random.pick([0, 0.1, 0.5]),
      ]
      const w = randomWeight(random, format, out, inn)
      const [x, dy] = [normals(random, tokens * inn), normals(random, tokens * out)]
      const [a, b] = [normals(random, rank * inn, 0.2), normals(random, out * rank, 0.2)]
      const attrs = { ...w.attrs, scaling, dropout, seed: seed * 7919 }
      const mask = dropoutMask(tokens * inn, dropout, attrs.seed)
      const dropped = x.map((value, i) => value * mask[i]!)
      const [loraA, loraB] = [matrix(a, rank, inn), matrix(b, out, rank)]
      const bias = random.int(2) ? normals(random, out) : undefined
      const inputs = { x: matrix(x, tokens, inn), ...w.inputs, loraA, loraB, bias: bias && tf.tensor1d(bias) }
      const [y, xa] = run('LoraLinear', inputs, attrs)
      const wantXa = product(dropped, a, tokens, rank, inn, false, true)
      expectClose(xa!, wantXa, 1e-5, 'xa')
      const update = product(wantXa, b, tokens, out, rank, false, true)
      const base = product(x, w.values, tokens, out, inn, false, true)
      expectClose(
        y!,
        base.map((value, i) => value + scaling * update[i]! + (bias?.[i % out] ?? 0)),
        1e-5,
        'y',
      )
      const dyTensor = matrix(dy, tokens, out)
      const low = product(dy, b, tokens, rank, out).map((value) => value * scaling)
      const saved = { x: inputs.x, xa: xa! }
      const toGrad = { dy: dyTensor, ...w.inputs, loraA, loraB }
      const both = { ...attrs, needsInputGrad: true, needsWeightGrad: true }
      const [dx, dA, dB] = run('LoraLinearGrad', { ...toGrad, ...saved }, both)
      const through = product(low, a, tokens, inn, rank)
      const plain = product(dy, w.values, tokens, inn, out)
      expectClose(
        dx!,
        plain.map((value, i) => value + through[i]! * mask[i]!),
        1e-5,
        'dx',
      )
      expectClose(dA!, product(low, dropped, rank, inn, tokens, true), 1e-5, 'dA')
      const wantB = product(dy, wantXa, out, rank, tokens, true)
      expectClose(
        dB!,
        wantB.map((value) => value * scaling),
        1e-5,
        'dB',
      )
      // Either half by itself, to the bit, and on top of a gradient that came before.
      const [dxAlone, ...none] = run('LoraLinearGrad', toGrad, { ...both, needsWeightGrad: false })
      const [nothing, ...weights] = run('LoraLinearGrad', { ...toGrad, ...saved }, { ...both, needsInputGrad: false })
      const alone = [dxAlone!, ...weights]
      expect(alone.map((grad) => grad.dataSync())).toEqual([dx!, dA!, dB!].map((grad) => grad.dataSync()))
      expect([...none, nothing!].map((grad) => grad.size)).toEqual([0, 0, 0])
      const before = normals(random, tokens * inn)
      const sums = (addend: tf.Tensor) => [
        run('LoraLinearGrad', { ...toGrad, ...saved, addend }, both)[0]!,
        run('LinearGrad', { dy: dyTensor, ...w.inputs, addend }, w.attrs)[0]!,
      ]
      const kept = matrix(before, tokens, inn)
      const [sum, frozenSum] = sums(tf.clone(kept))
      expectClose(
        sum!,
        dx!.dataSync().map((value, i) => value + before[i]!),
        1e-5,
        'dx and what came before',
      )
      expectClose(
        frozenSum!,
        plain.map((value, i) => value + before[i]!),
        1e-5,
        'frozen dx and what came before',
      )
      expect(kept.dataSync()).toEqual(before)
    })
  })
})

test('4-bit values are rounded as bfloat16 and float16 are: every size, ties, denormals, infinities', () => {
  const scales = [0, 1, 3, 2 ** -149, 2 ** -140, 3e-39, 5e-8, 6e-8, 6.1e-5, 65519, 65520, 65536, 3e38, 4e38, Infinity]
  const random = new Random(1)
  while (scales.length < 5000) scales.push((1 + random.uniform()) * 2 ** (random.int(280) - 149))
  const absmax = Float32Array.from(scales)
  // Values between 1 and 2 with few bits in front of a tie, and the rest at random.
  const code = Float32Array.from(
    { length: 16 },
    (_, i) => (i % 2 ? -1 : 1) * (i < 8 ? 1 + i / 4096 + 1 / 256 : random.uniform()),
  )
  const words = new Int32Array(absmax.length * 2)
  new Uint8Array(words.buffer).forEach((_, i, bytes) => {
    bytes[i] = (((i * 2) % 16) << 4) | ((i * 2 + 1) % 16)
  })
  const inputs = { weight: tf.tensor1d(words, 'int32'), absmax: tf.tensor1d(absmax), code: tf.tensor1d(code) }
  for (const roundTo of ['none', 'bf16', 'f16'] as const) {
    const attrs = { format: 'nf4', outFeatures: absmax.length, inFeatures: 16, blockSize: 16, roundTo }
    const [got] = run('Dequantize', inputs, { ...attrs, rowStart: 0, rowEnd: absmax.length })
    const want = Float32Array.from({ length: got!.size }, (_, i) =>
      nearest(Math.fround(code[i % 16]! * absmax[i >> 4]!), roundTo),
    )
    expect(got!.dataSync()).toEqual(want)
    got!.dispose()
  }
  tf.dispose(inputs)
})

nativeTest('a weight too large for the caches is unpacked past them to the same values', () => {
  property(1, (random) => {
    const [rows, cols] = [2050, 2080]
    const w = randomWeight(random, 'nf4', rows, cols, 32)
    const whole = run('Dequantize', w.inputs, { ...w.attrs, rowStart: 0, rowEnd: rows })[0]!.dataSync()
    for (let row = 0; row < rows; row += 410) {
      const [part] = run('Dequantize', w.inputs, { ...w.attrs, rowStart: row, rowEnd: row + 410 })
      expect(whole.slice(row * cols, (row + 410) * cols)).toEqual(part!.dataSync())
    }
  })
})

test('the gradient of a trained weight', () => {
  property(10, (random) => {
    const [tokens, out, inn] = [random.pick(SIZES), random.pick(SIZES), random.pick(SIZES)]
    const [dy, x] = [normals(random, tokens * out), normals(random, tokens * inn)]
    const [dw] = run('LinearWeightGrad', { dy: matrix(dy, tokens, out), x: matrix(x, tokens, inn) })
    expectClose(dw!, product(dy, x, out, inn, tokens, true))
  })
})

test('matMul, batched, broadcast and transposed', () => {
  property(20, (random) => {
    const [m, n, k] = [random.pick(SIZES), random.pick(SIZES), random.pick(SIZES)]
    const [transposeA, transposeB] = [random.int(2) === 1, random.int(2) === 1]
    const [batchA, batchB] = random.pick([
      [1, 1],
      [3, 3],
      [1, 4],
      [2, 1],
    ] as [number, number][])
    const batch = Math.max(batchA, batchB)
    const [a, b] = [normals(random, batchA * m * k), normals(random, batchB * k * n)]
    const y = tf.matMul(
      tf.tensor3d(a, transposeA ? [batchA, k, m] : [batchA, m, k]),
      tf.tensor3d(b, transposeB ? [batchB, n, k] : [batchB, k, n]),
      transposeA,
      transposeB,
    )
    const want: number[] = []
    for (let i = 0; i < batch; i++) {
      const part = (x: Float32Array, count: number, size: number) =>
        count === 1 ? x : x.subarray(i * size, (i + 1) * size)
      want.push(...product(part(a, batchA, m * k), part(b, batchB, k * n), m, n, k, transposeA, transposeB))
    }
    expect(y.shape).toEqual([batch, m, n])
    expectClose(y, want)
  })
})

nativeTest('more rows than are packed at a time, and results that do not depend on the threads', () => {
  tf.tidy(() => {
    const x = tf.randomNormal<tf.Rank.R2>([2100, 70], 0, 1, 'float32', 1)
    const w = tf.randomNormal<tf.Rank.R2>([150, 70], 0, 1, 'float32', 2)
    const results = [1, 2, 3].map((threads) => {
      setThreads(threads)
      return run('Linear', { x, weight: w }, { format: 'f32', outFeatures: 150, inFeatures: 70 })[0]!
    })
    setThreads(2)
    expectClose(results[0]!, product(x.dataSync(), w.dataSync(), 2100, 150, 70, false, true))
    expect(results[1]!.dataSync()).toEqual(results[0]!.dataSync())
    expect(results[2]!.dataSync()).toEqual(results[0]!.dataSync())
    // A row's result does not depend on the rows around it either.
    const alone = run(
      'Linear',
      { x: tf.slice2d(x, [100, 0], [20, 70]), weight: w },
      { format: 'f32', outFeatures: 150, inFeatures: 70 },
    )
    expect(alone[0]!.dataSync()).toEqual(results[0]!.dataSync().slice(100 * 150, 120 * 150))
  })
})
