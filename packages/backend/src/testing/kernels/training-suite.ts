import * as tf from '@tensorflow/tfjs-core'
import { beforeAll, describe, expect, test } from 'vitest'
import { expectClose, matrix, normals, property, run, useBackend } from './harness'
import { crossEntropy } from './reference'
import { FORMATS, randomWeight } from './weights'

beforeAll(useBackend)

describe.each(FORMATS)('the loss with a %s head', (format) => {
  test('value, statistics and gradients', () => {
    property(5, (random) => {
      const c = {
        tokens: random.pick([1, 9, 40]),
        vocab: random.pick([2, 31, 150]),
        hidden: random.pick([5, 32, 70]),
        softcap: random.pick([0, 5]),
      }
      const w = randomWeight(random, format, c.vocab, c.hidden)
      const x = normals(random, c.tokens * c.hidden, format === 'f16' ? 0.01 : 0.5)
      const labels = Int32Array.from({ length: c.tokens }, () => (random.int(3) ? random.int(c.vocab) : -100))
      const want = crossEntropy(x, w.values, undefined, labels, c)
      const [loss, nll, entropy, correct, dHidden, dWeight] = run(
        'LinearCrossEntropy',
        { hidden: matrix(x, c.tokens, c.hidden), ...w.inputs, labels: tf.tensor1d(labels, 'int32') },
        { ...w.attrs, ...c, needsHiddenGrad: true, needsWeightGrad: true },
      )
      expectClose(loss!, [want.loss])
      expectClose(nll!, want.nll)
      expectClose(entropy!, want.entropy)
      expectClose(correct!, want.correct)
      expectClose(dHidden!, want.dHidden, 2e-5)
      expectClose(dWeight!, want.dWeight, 2e-5)
    })
  })
})

test('the loss in several chunks, with a bias, and a chunk that does not come out even', () => {
  property(1, (random) => {
    // 32 MiB of logits: 225 rows of 40,000 do not fit at once.
    const c = { tokens: 240, vocab: 40000, hidden: 2, softcap: 0 }
    const w = randomWeight(random, 'f32', c.vocab, c.hidden)
    const [x, bias] = [normals(random, c.tokens * 2), normals(random, c.vocab)]
    const labels = Int32Array.from({ length: c.tokens }, (_, t) => (t % 16 === 3 ? -100 : random.int(c.vocab)))
    const want = crossEntropy(x, w.values, bias, labels, c)
    const [loss, nll, , , dHidden, dWeight] = run(
      'LinearCrossEntropy',
      { hidden: matrix(x, 240, 2), ...w.inputs, labels: tf.tensor1d(labels, 'int32'), bias: tf.tensor1d(bias) },
      { ...w.attrs, ...c, needsHiddenGrad: true, needsWeightGrad: true },
    )
    expectClose(loss!, [want.loss])
    expectClose(nll!, want.nll)
    expectClose(dHidden!, want.dHidden)
    expectClose(dWeight!, want.dWeight)
  })
})

test('no label: zero everywhere; no gradient wanted: none made', () => {
  property(1, (random) => {
    const w = randomWeight(random, 'f32', 10, 4)
    const inputs = {
      hidden: matrix(normals(random, 12), 3, 4),
      ...w.inputs,
      labels: tf.tensor1d([-100, -100, -100], 'int32'),
    }
    const all = run('LinearCrossEntropy', inputs, { ...w.attrs, needsHiddenGrad: true, needsWeightGrad: true })
    for (const x of all) expect(x.dataSync().every((v) => v === 0)).toBe(true)
    expect(all.map((x) => x.size)).toEqual([1, 3, 3, 3, 12, 40])
    expect(run('LinearCrossEntropy', inputs, w.attrs).map((x) => x.size)).toEqual([1, 3, 3, 3, 0, 0])
  })
})

test('the gradient of an embedding adds up repeated ids', () => {
  property(5, (random) => {
    const [tokens, vocab, hidden] = [50, 7, random.pick([1, 33, 300])]
    const dy = normals(random, tokens * hidden)
    const ids = Int32Array.from({ length: tokens }, () => random.int(vocab))
    const want = new Float64Array(vocab * hidden)
    ids.forEach((id, t) => {
      for (let i = 0; i < hidden; i++) want[id * hidden + i] = want[id * hidden + i]! + dy[t * hidden + i]!
    })
    const [dw] = run(
      'EmbeddingGrad',
      { dy: matrix(dy, tokens, hidden), ids: tf.tensor1d(ids, 'int32') },
      { outFeatures: vocab },
    )
    expectClose(dw!, want)
  })
})

test('a list of parameters is stepped as each by itself, to the bit, and normed as one', () => {
  property(1, (random) => {
    // More than one launch takes, some of them empty, of one element or of more than one block.
    const sizes = Array.from({ length: 170 }, (_, i) => (i % 20 === 7 ? 0 : i % 20 === 3 ? 2050 + i : random.int(40)))
    const attrs = { lr: 0.01, beta1: 0.9, beta2: 0.99, eps: 1e-8, weightDecay: 0.1, step: 3, gradScale: 0.5 }
    const names = ['param', 'grad', 'expAvg', 'expAvgSq']
    const arrays = sizes.map((size) => names.map((_, i) => normals(random, size).map((x) => (i === 3 ? x * x : x))))
    const update = (list: readonly Float32Array[][]) => {
      const inputs: Record<string, tf.Tensor> = {}
      list.forEach((tensors, i) => {
        tensors.forEach((values, j) => {
          inputs[`${names[j]}${i}`] = tf.tensor1d(values)
        })
      })
      run('AdamWSteps', inputs, attrs)
      return list.map((_, i) => ['param', 'expAvg', 'expAvgSq'].map((name) => inputs[`${name}${i}`]!.dataSync()))
    }
    expect(update(arrays)).toEqual(arrays.flatMap((tensors) => update([tensors])))
    const grads = arrays.map((tensors) => tensors[1]!)
    const squares = grads.reduce((sum, grad) => grad.reduce((part, x) => part + x * x, sum), 0)
    const [norm] = run('GradNorm', Object.fromEntries(grads.map((grad, i) => [`x${i}`, tf.tensor1d(grad)])))
    expectClose(norm!, [Math.sqrt(squares)], 1e-6)
  })
})

test('AdamW follows the float64 recurrence in place and leaves the arrays it was given alone', () => {
  property(3, (random) => {
    const size = random.pick([3, 1000, 70001])
    const given = normals(random, size)
    const before = given.slice()
    const param = tf.variable(tf.tensor1d(given))
    const expAvg = tf.variable(tf.zeros([size]))
    const expAvgSq = tf.variable(tf.zeros([size]))
    const attrs = { lr: 0.01, beta1: 0.9, beta2: 0.99, eps: 1e-8, weightDecay: 0.1, gradScale: 0.5 }
    const p = Float64Array.from(given)
    const [m, v] = [new Float64Array(size), new Float64Array(size)]
    for (let step = 1; step <= 5; step++) {
      const grad = normals(random, size)
      run(
        'AdamWSteps',
        { param0: param, grad0: tf.tensor1d(grad), expAvg0: expAvg, expAvgSq0: expAvgSq },
        { ...attrs, step },
      )
      for (let i = 0; i < size; i++) {
        const g = grad[i]! * 0.5
        m[i] = 0.9 * m[i]! + 0.1 * g
        v[i] = 0.99 * v[i]! + 0.01 * g * g
        const denominator = Math.sqrt(v[i]!) / Math.sqrt(1 - 0.99 ** step) + 1e-8
        p[i] = p[i]! * (1 - 0.001) - ((0.01 / (1 - 0.9 ** step)) * m[i]!) / denominator
      }
    }
    expectClose(param, p)
    expectClose(expAvg, m)
    expectClose(expAvgSq, v)
    expect(given).toEqual(before)
    for (const x of [param, expAvg, expAvgSq]) x.dispose()
  })
})

test('the norm over several gradients', () => {
  property(3, (random) => {
    const parts = [1, 70000, 33].map((n) => normals(random, n))
    const sum = parts.flatMap((x) => [...x]).reduce((total, x) => total + x * x, 0)
    const inputs = Object.fromEntries(parts.map((x, i) => [`x${i}`, tf.tensor1d(x)]))
    expectClose(run('GradNorm', inputs)[0]!, [Math.sqrt(sum)], 1e-7)
  })
  expect([...run('GradNorm', {})[0]!.dataSync()]).toEqual([0])
})

test('rows go into a cache in place', () => {
  property(1, (random) => {
    const cache = tf.variable(tf.zeros<tf.Rank.R2>([6, 3]))
    const x = normals(random, 6)
    run('KvCacheUpdate', { cache, x: matrix(x, 2, 3), rows: tf.tensor1d([4, 1], 'int32') })
    const want = new Float32Array(18)
    want.set(x.subarray(0, 3), 12)
    want.set(x.subarray(3), 3)
    expect(cache.dataSync()).toEqual(want)
    cache.dispose()
  })
})
