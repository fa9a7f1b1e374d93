// The plain operations on the emulated device, against TensorFlow.js' own CPU backend.
import * as tf from '@tensorflow/tfjs-core'
// For the gradients of standard operations.
import '@tunesmith/backend'
import { error, useBackend } from '@tunesmith/backend/testing/kernels/harness'
import { Random } from '@tunesmith/core'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { cudaReadBacks, resetCudaReadBacks } from './index'
import { emulateCuda } from './testing/emulated'

// Nothing stays on the host for being small.
process.env.TUNESMITH_CUDA_HOST_BYTES = '0'
const there = emulateCuda('f32')

const numbers = (...shape: number[]) => {
  const random = new Random(shape.length, shape.join())
  return tf.tensor(
    Float32Array.from({ length: tf.util.sizeFromShape(shape) }, () => random.normal()),
    shape,
  )
}
const integers = (...shape: number[]) => {
  const random = new Random(shape.length, shape.join())
  return tf.tensor(
    Int32Array.from({ length: tf.util.sizeFromShape(shape) }, () => random.int(9) - 4),
    shape,
    'int32',
  )
}
const large = () => tf.tensor1d([2_000_000_011, -2_000_000_011, 16_777_217, 7], 'int32')
const ids = (...values: number[]) => tf.tensor1d(values, 'int32')
const edges = () => tf.tensor1d([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, -0.5, 0, 2.5, 3.5])

const CASES: Record<string, () => tf.Tensor | tf.Tensor[]> = {
  'a broadcast on both sides': () => tf.sub(numbers(3, 1, 4), numbers(5, 1)),
  'a broadcast in the middle, of integers': () => tf.mul(integers(2, 3, 4), integers(2, 1, 4)),
  'a broadcast of six axes': () => tf.add(numbers(2, 1, 2, 1, 2, 3), numbers(1, 2, 1, 3, 1, 3)),
  'integers beyond what a float holds': () => tf.sub(large(), ids(11, 0, 1, 8)),
  'divisions of integers': () => [tf.floorDiv(integers(20), ids(-3)), tf.floorDiv(numbers(20), tf.scalar(0.3))],
  'remainders, of the sign of the divisor': () => [tf.mod(integers(20), ids(-3)), tf.mod(numbers(9), numbers(9))],
  powers: () => [tf.pow(tf.abs(numbers(3, 4)), numbers(4)), tf.pow(integers(6), ids(3))],
  'squared difference': () => tf.squaredDifference(numbers(3, 1), numbers(4)),
  'largest and smallest of two, NaN among them': () => [tf.maximum(edges(), 0), tf.minimum(0, edges())],
  comparisons: () =>
    [tf.equal, tf.notEqual, tf.greater, tf.greaterEqual, tf.less, tf.lessEqual].flatMap((op) => [
      op(integers(3, 4), integers(4)),
      op(edges(), tf.scalar(2.5)),
    ]),
  logic: () => {
    const [a, b] = [tf.greater(integers(8), 0), tf.greater(numbers(8), 0)]
    return [tf.logicalAnd(a, b), tf.logicalOr(a, b), tf.logicalNot(a), tf.logicalXor(a, b)]
  },
  'each element by itself': () => {
    const x = numbers(33)
    const all = [tf.sign, tf.floor, tf.ceil, tf.round, tf.erf, tf.expm1, tf.softplus, tf.step, tf.leakyRelu, tf.elu]
    return [...all.map((op) => op(x)), tf.log1p(tf.abs(x)), tf.clipByValue(x, -0.3, 0.4), tf.step(x, 0.2)]
  },
  'each element by itself, at the edges': () =>
    [tf.sign, tf.floor, tf.round, tf.step, tf.relu, tf.isNaN, tf.isInf, tf.isFinite].map((op) => op(edges())),
  'integers by themselves': () => [tf.neg, tf.square, tf.abs, tf.relu, tf.sign].map((op) => op(integers(9))),
  choice: () => [
    tf.where(tf.greater(numbers(3, 4), 0), numbers(3, 4), tf.zeros([3, 4])),
    tf.where(tf.greater(numbers(3, 1), 0), integers(3, 4), integers(4)),
  ],
  'changes of type': () => [
    tf.cast(numbers(20), 'int32'),
    tf.cast(edges(), 'bool'),
    tf.cast(tf.cast(integers(9), 'bool'), 'float32'),
    tf.cast(tf.cast(integers(9), 'bool'), 'int32'),
    tf.cast(large(), 'float32'),
  ],
  'axes in any order': () => [
    tf.transpose(numbers(2, 3, 4, 5), [3, 1, 0, 2]),
    tf.transpose(integers(2, 3, 4), [1, 0, 2]),
    tf.transpose(numbers(4, 3, 2), [1, 2, 0]),
  ],
  slices: () => [
    tf.slice(numbers(4, 5, 6), [1, 2, 3], [2, 2, 3]),
    tf.slice(large(), [1], [2]),
    tf.stridedSlice(numbers(5, 6), [4, 1], [0, 6], [-2, 3]),
    tf.stridedSlice(numbers(3, 4, 5), [1], [2], [1], 0, 0, 0, 0, 1),
    tf.stridedSlice(numbers(3, 4, 5), [0, 1, 4], [3, 2, 0], [2, 1, -3]),
  ],
  'in reverse': () => [tf.reverse(numbers(3, 4, 5), [0, 2]), tf.reverse(integers(7))],
  repetitions: () => [tf.tile(numbers(2, 3, 1), [2, 1, 4]), tf.broadcastTo(numbers(3, 1), [2, 3, 4])],
  'side by side': () => [
    tf.concat([numbers(2, 3, 2), numbers(2, 1, 2)], 1),
    tf.stack([numbers(2, 3), numbers(2, 3), numbers(2, 3)], 1),
    tf.concat([large(), ids(1)]),
    tf.pad(numbers(2, 3), [
      [1, 2],
      [0, 1],
    ]),
  ],
  parts: () => [...tf.split(numbers(4, 6, 2), [1, 3, 2], 1), ...tf.unstack(numbers(3, 2, 2), 1)],
  'rows by number': () => [
    tf.gather(numbers(4, 3, 2), ids(2, 0, 2), 0),
    tf.gather(integers(4, 3, 2), tf.tensor2d([2, 0, 1, 1], [2, 2], 'int32'), 1),
    tf.gather(numbers(2, 3, 4), tf.tensor2d([2, 0, 1, 1], [2, 2], 'int32'), 1, 1),
  ],
  'sums by number': () => tf.unsortedSegmentSum(numbers(5, 2, 3), ids(2, 0, 2, 3, 0), 4),
  'numbers as rows': () => [
    tf.oneHot(ids(0, 3, -1, 2), 4),
    tf.oneHot(tf.tensor2d([1, 0], [1, 2], 'int32'), 3, 5, -1, 'float32'),
  ],
  'sums and products over any axes': () => [
    tf.sum(numbers(3, 4, 5, 2), [0, 2]),
    tf.mean(numbers(3, 4, 5), [0, 2], true),
    tf.sum(integers(3, 4), 0),
    tf.sum(tf.greater(numbers(30), 0)),
    tf.prod(numbers(4, 3), 1),
    tf.prod(integers(4, 3), 0),
  ],
  'largest and smallest, and where': () => [
    tf.max(numbers(3, 300, 2), 1),
    tf.min(numbers(3, 4, 5), [0, 2], true),
    tf.max(edges()),
    tf.argMax(numbers(3, 700), 1),
    tf.argMin(numbers(5, 4, 3), 0),
    tf.argMax(ids(1, 9, 9, 2)),
  ],
  'all and any': () => {
    const x = tf.greater(numbers(3, 4), -1)
    return [tf.all(x, 0), tf.any(x), tf.any(tf.logicalNot(x), 1, true)]
  },
  'products of batches': () => [
    tf.matMul(numbers(3, 2, 4), numbers(3, 4, 5)),
    tf.matMul(numbers(3, 4, 2), numbers(1, 5, 4), true, true),
    tf.matMul(numbers(1, 2, 4), numbers(3, 4, 5)),
    tf.matMul(numbers(3, 2, 4), numbers(1, 4, 5)),
  ],
  'gradients of what changes the order': () => {
    const f = (x: tf.Tensor) => {
      const parts = tf.split(tf.tile(tf.transpose(x, [1, 0, 2]), [1, 2, 1]), 2, 1)
      const joined = tf.concat([tf.reverse(parts[0]!), tf.mul(parts[1]!, parts[1]!)], 2)
      return tf.sum(tf.gather(tf.max(joined, 1), ids(0, 2, 0)))
    }
    return tf.grad(f)(numbers(4, 3, 2))
  },
  'gradients of activations': () =>
    tf.grad((x) => tf.sum(tf.add(tf.elu(x), tf.add(tf.erf(x), tf.add(tf.relu(x), tf.softplus(x))))))(numbers(40)),
}

const read = (made: tf.Tensor | tf.Tensor[]) =>
  [made].flat().map((x) => ({ dtype: x.dtype, shape: x.shape, values: Array.from(x.dataSync()) }))

describe.runIf(there)('plain operations on the emulated CUDA device', () => {
  beforeAll(useBackend)

  // What TensorFlow.js' CPU backend gets wrong.
  test('a product of batches that repeat on both sides', () => {
    tf.tidy(() => {
      const [a, b] = [numbers(2, 1, 2, 4), numbers(1, 3, 4, 5)]
      const got = tf.matMul(a, b)
      const want = tf.matMul(tf.tile(a, [1, 3, 1, 1]), tf.tile(b, [2, 1, 1, 1]))
      expect(got.shape).toEqual([2, 3, 2, 5])
      expect([...got.dataSync()]).toEqual([...want.dataSync()])
    })
  })
  test('a strided slice that loses an axis', () => {
    const x = tf.reshape(tf.range(0, 60), [3, 4, 5])
    const y = tf.tidy(() => tf.stridedSlice(x, [0, 1, 4], [3, 2, 0], [2, 1, -3], 0, 0, 0, 0, 2))
    expect(y.shape).toEqual([2, 2])
    expect([...y.dataSync()]).toEqual([9, 6, 49, 46])
    tf.dispose([x, y])
  })

  // Without it TensorFlow.js prints an advertisement.
  beforeAll(() => tf.enableProdMode())
  beforeEach(resetCudaReadBacks)
  afterAll(() => tf.setBackend('cuda'))

  test.each(Object.entries(CASES))('%s', (_, make) => {
    tf.setBackend('cpu')
    const want = tf.tidy(() => read(make()))
    tf.setBackend('cuda')
    const got = tf.tidy(() => read(make()))
    expect(cudaReadBacks(), 'on the CPU instead').toEqual([])
    expect(got.map(({ dtype, shape }) => ({ dtype, shape }))).toEqual(
      want.map(({ dtype, shape }) => ({ dtype, shape })),
    )
    for (const [i, { values, dtype }] of got.entries()) {
      const wanted = want[i]!.values
      // What is not finite must be the same; the rest is within rounding.
      const finite = wanted.map((_, j) => j).filter((j) => Number.isFinite(wanted[j]) && dtype === 'float32')
      const exact = (all: number[]) => all.map((x, j) => (finite.includes(j) ? 0 : x))
      expect(exact(values)).toEqual(exact(wanted))
      const pick = (all: number[]) => finite.map((j) => all[j]!)
      expect(error(pick(values), pick(wanted)), `result ${i}`).toBeLessThan(1e-5)
    }
  })
})
