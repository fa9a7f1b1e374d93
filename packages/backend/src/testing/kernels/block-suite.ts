import * as tf from '@tensorflow/tfjs-core'
import { beforeAll, expect, test } from 'vitest'
import { dropoutMask } from '../../index'
import { backendUnderTest, expectClose, matrix, normals, property, run, setThreads, useBackend } from './harness'
import { type AttentionCase, attention } from './reference'

beforeAll(useBackend)

// What only the native backend has: threads, packed panels, caches.
const nativeTest = backendUnderTest() === 'native' ? test : () => {}

test('RMSNorm and its gradients', () => {
  property(12, (random) => {
    const [tokens, hidden] = [random.pick([1, 3, 17, 70]), random.pick([1, 5, 16, 33, 64, 200, 2049])]
    const [eps, offset] = [1e-5, random.int(2)]
    const [x, dy] = [normals(random, tokens * hidden), normals(random, tokens * hidden)]
    const w = normals(random, hidden)
    const y = new Float64Array(x.length)
    const dx = new Float64Array(x.length)
    const dw = new Float64Array(hidden)
    for (let t = 0; t < tokens; t++) {
      const row = x.subarray(t * hidden, (t + 1) * hidden)
      const r = 1 / Math.sqrt(row.reduce((sum, v) => sum + v * v, 0) / hidden + eps)
      let along = 0
      for (let i = 0; i < hidden; i++) along += dy[t * hidden + i]! * (w[i]! + offset) * row[i]!
      for (let i = 0; i < hidden; i++) {
        const at = t * hidden + i
        y[at] = row[i]! * r * (w[i]! + offset)
        dx[at] = r * (dy[at]! * (w[i]! + offset) - (row[i]! * along * r * r) / hidden)
        dw[i] = dw[i]! + dy[at]! * row[i]! * r
      }
    }
    const inputs = { x: matrix(x, tokens, hidden), weight: tf.tensor1d(w) }
    const dyTensor = matrix(dy, tokens, hidden)
    expectClose(run('RMSNorm', inputs, { eps, offset })[0]!, y)
    if (hidden > 1) {
      expectClose(run('RMSNormGrad', { ...inputs, dy: dyTensor }, { eps, offset })[0]!, dx)
      const before = normals(random, tokens * hidden)
      const addend = matrix(before, tokens, hidden)
      const [sum] = run('RMSNormGrad', { ...inputs, dy: dyTensor, addend }, { eps, offset })
      expectClose(
        sum!,
        dx.map((value, i) => value + before[i]!),
        1e-5,
        'on top of what came before',
      )
    }
    expectClose(run('RMSNormWeightGrad', { x: inputs.x, dy: dyTensor }, { eps, offset })[0]!, dw)
  })
})

test('dropout is a product with the mask of its seed', () => {
  property(9, (random) => {
    const [tokens, width, rate] = [random.pick([1, 7]), random.pick([5, 64]), random.pick([0.1, 0.5])]
    const seed = random.int(2 ** 31)
    const x = normals(random, tokens * width)
    const mask = dropoutMask(x.length, rate, seed)
    const [y] = run('Dropout', { x: matrix(x, tokens, width) }, { rate, seed })
    expectClose(
      y!,
      x.map((value, i) => value * mask[i]!),
    )
  })
})

test('rotary embedding, partial too, and its inverse', () => {
  property(12, (random) => {
    const [tokens, heads, headDim] = [random.pick([1, 5, 40]), random.pick([1, 3]), random.pick([2, 6, 32, 64, 100])]
    const rotaryDim = random.int(2) ? headDim : 2 * Math.max(1, Math.floor(headDim / 4))
    const half = rotaryDim / 2
    const width = heads * headDim
    const x = normals(random, tokens * width)
    const angles = normals(random, tokens * half, 3)
    const [cos, sin] = [angles.map(Math.cos), angles.map(Math.sin)]
    const want = Float64Array.from(x)
    for (let t = 0; t < tokens; t++)
      for (let h = 0; h < heads; h++)
        for (let i = 0; i < half; i++) {
          const at = t * width + h * headDim + i
          const [a, b, c, s] = [x[at]!, x[at + half]!, cos[t * half + i]!, sin[t * half + i]!]
          want[at] = a * c - b * s
          want[at + half] = b * c + a * s
        }
    const tables = { cos: matrix(cos, tokens, half), sin: matrix(sin, tokens, half) }
    const [y] = run(
      'RotaryEmbedding',
      { x: matrix(x, tokens, width), ...tables },
      { headDim, rotaryDim, inverse: false },
    )
    expectClose(y!, want)
    const [back] = run('RotaryEmbedding', { x: y!, ...tables }, { headDim, rotaryDim, inverse: true })
    expectClose(back!, x)
  })
})

test('the gated activations and their gradients', () => {
  property(8, (random, seed) => {
    const [tokens, width] = [random.pick([1, 7, 30]), random.pick([1, 15, 64, 1030])]
    const activation = seed % 2 ? 'silu' : 'gelu_tanh'
    const gate = normals(random, tokens * width, 3)
    const [up, dy] = [normals(random, gate.length), normals(random, gate.length)]
    const f = (g: number) => {
      if (activation === 'silu') return g / (1 + Math.exp(-g))
      return 0.5 * g * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (g + 0.044715 * g ** 3)))
    }
    const slope = (g: number) => {
      if (activation === 'silu') {
        const s = 1 / (1 + Math.exp(-g))
        return s * (1 + g * (1 - s))
      }
      const t = Math.tanh(Math.sqrt(2 / Math.PI) * (g + 0.044715 * g ** 3))
      return 0.5 * (1 + t) + 0.5 * g * (1 - t * t) * Math.sqrt(2 / Math.PI) * (1 + 3 * 0.044715 * g * g)
    }
    const each = (make: (i: number) => number) => Float64Array.from(gate, (_, i) => make(i))
    const inputs = { gate: matrix(gate, tokens, width), up: matrix(up, tokens, width) }
    expectClose(
      run('SwiGLU', inputs, { activation })[0]!,
      each((i) => f(gate[i]!) * up[i]!),
    )
    const [dgate, dup] = run('SwiGLUGrad', { ...inputs, dy: matrix(dy, tokens, width) }, { activation })
    expectClose(
      dgate!,
      each((i) => dy[i]! * up[i]! * slope(gate[i]!)),
    )
    expectClose(
      dup!,
      each((i) => dy[i]! * f(gate[i]!)),
    )
  })
})

function tensorsOf(c: AttentionCase, q: Float32Array, k: Float32Array, v: Float32Array) {
  const kvWidth = c.numKvHeads * c.headDim
  const ints = (values?: number[]) => values && tf.tensor1d(Int32Array.from(values), 'int32')
  return {
    q: matrix(q, c.tokens, c.numHeads * c.headDim),
    k: matrix(k, k.length / kvWidth, kvWidth),
    v: matrix(v, v.length / kvWidth, kvWidth),
    cuSeqlens: ints(c.cuSeqlens),
    kvStart: ints(c.kvStart),
    kvLength: ints(c.kvLength),
  }
}

function checkAttention(
  c: AttentionCase,
  q: Float32Array,
  k: Float32Array,
  v: Float32Array,
  dout?: Float32Array,
): void {
  const want = attention(q, k, v, c, dout)
  const inputs = tensorsOf(c, q, k, v)
  const [out, lse] = run('CausalAttention', inputs, { ...c, rounded: true })
  expectClose(out!, want.out, 1e-5, 'out')
  expectClose(lse!, want.lse, 1e-5, 'lse')
  if (!dout) return
  const grads = run(
    'CausalAttentionGrad',
    { ...inputs, out, lse, dout: matrix(dout, c.tokens, c.numHeads * c.headDim) },
    { ...c, rounded: true },
  )
  expectClose(grads[0]!, want.dq, 1e-5, 'dq')
  expectClose(grads[1]!, want.dk, 1e-5, 'dk')
  expectClose(grads[2]!, want.dv, 1e-5, 'dv')
}

test('attention and its gradients over sequences of all lengths, windows and caps', () => {
  property(24, (random, seed) => {
    const lengths = Array.from({ length: random.pick([1, 2, 4]) }, () => random.pick([1, 2, 13, 57, 130, 150]))
    const numKvHeads = random.pick([1, 2, 3])
    const c: AttentionCase = {
      tokens: lengths.reduce((sum, n) => sum + n, 0),
      cuSeqlens: [0, ...lengths.map((_, i) => lengths.slice(0, i + 1).reduce((sum, n) => sum + n, 0))],
      numKvHeads,
      numHeads: numKvHeads * random.pick([1, 2, 4]),
      headDim: random.pick([4, 16, 30, 64]),
      scale: 0.2,
      slidingWindow: random.pick([0, 0, 1, 40]),
      softcap: random.pick([0, 0, 5]),
    }
    const width = c.headDim * c.tokens
    const [q, k, v] = [
      normals(random, width * c.numHeads),
      normals(random, width * numKvHeads),
      normals(random, width * numKvHeads),
    ]
    // A window of one key has exactly one probability, 1: the gradient of q is rounding only.
    if (c.slidingWindow === 1) checkAttention(c, q, k, v)
    else checkAttention(c, q, k, v, seed % 4 && c.tokens > lengths.length ? normals(random, q.length) : undefined)
  })
})

test('attention over one long sequence beside a short and an empty one, with one head', () => {
  property(2, (random, seed) => {
    const [tokens, headDim] = [1502, 8]
    const shape = { numHeads: 1, numKvHeads: 1, headDim, scale: 0.3, softcap: 0 }
    const c: AttentionCase = { tokens, cuSeqlens: [0, 1, 1, tokens], slidingWindow: seed === 2 ? 700 : 0, ...shape }
    const values = () => normals(random, tokens * headDim)
    checkAttention(c, values(), values(), values(), values())
  })
})

test('attention with a cache: keys elsewhere and more of them than queries', () => {
  property(20, (random) => {
    const [headDim, numKvHeads] = [random.pick([8, 30, 64, 80]), random.pick([1, 2])]
    const c: AttentionCase = {
      tokens: 8,
      cuSeqlens: [0, 1, 6, 8],
      kvStart: [300, 0, 150],
      kvLength: [1 + random.int(90), 5 + random.int(140), 2 + random.int(100)],
      numHeads: numKvHeads * random.pick([1, 2, 3, 8]),
      numKvHeads,
      headDim,
      scale: 0.3,
      slidingWindow: random.pick([0, 33]),
      softcap: random.pick([0, 7]),
    }
    const kv = () => normals(random, 400 * numKvHeads * headDim)
    checkAttention(c, normals(random, 8 * c.numHeads * headDim), kv(), kv())
  })
})

nativeTest('attention is the same to the bit on one thread and on three', () => {
  property(1, (random) => {
    const c: AttentionCase = {
      tokens: 300,
      cuSeqlens: [0, 180, 300],
      numHeads: 4,
      numKvHeads: 2,
      headDim: 32,
      scale: 0.2,
      slidingWindow: 0,
      softcap: 0,
    }
    const inputs = tensorsOf(c, normals(random, 300 * 128), normals(random, 300 * 64), normals(random, 300 * 64))
    const dout = matrix(normals(random, 300 * 128), 300, 128)
    const results = [1, 3].map((threads) => {
      setThreads(threads)
      const [out, lse] = run('CausalAttention', inputs, { ...c, rounded: true })
      return [out!, lse!, ...run('CausalAttentionGrad', { ...inputs, out, lse, dout }, { ...c, rounded: true })].map(
        (x) => x.dataSync(),
      )
    })
    setThreads(2)
    expect(results[1]).toEqual(results[0])
  })
})
