// Attention on the tensor cores of the emulated device, and every kernel under other orders of a block's threads.
import * as tf from '@tensorflow/tfjs-core'
import {
  attentionCase,
  cachedCase,
  decodingCases,
  inputsOf,
  ints,
} from '@tunesmith/backend/testing/kernels/attention-cases'
import { expectClose, matrix, normals, run, useBackend } from '@tunesmith/backend/testing/kernels/harness'
import { attention } from '@tunesmith/backend/testing/kernels/reference'
import { randomWeight } from '@tunesmith/backend/testing/kernels/weights'
import { Random } from '@tunesmith/core'
import { beforeAll, describe, expect, test } from 'vitest'
import { type CudaAddon, loadCudaAddon } from './addon'
import { emulateCuda } from './testing/emulated'

const there = emulateCuda('bf16')
describe.runIf(there)('on the emulated CUDA backend in bfloat16', () => {
  beforeAll(useBackend)

  test.each([
    ['64, two tiles and a rest, beside a sequence of one token and an empty one', attentionCase(64, [130, 1, 0, 64])],
    ['96, a window', attentionCase(96, [65, 40], { slidingWindow: 20 })],
    ['128, a window wider than a tile, a softcap', attentionCase(128, [150], { slidingWindow: 70, softcap: 8 })],
    ['128, as many key heads as query heads', attentionCase(128, [33, 70], { numKvHeads: 2 })],
    ['128, four query heads to a key head', attentionCase(128, [40], { numHeads: 4 })],
    ['64, eight query heads to a key head', attentionCase(64, [70], { numHeads: 8 })],
    ['64, one less and one more than tiles', attentionCase(64, [63, 65, 127, 129])],
    ['96, lengths that are tiles', attentionCase(96, [64, 128])],
    ['128, lengths that differ much', attentionCase(128, [1, 200, 17])],
    ['64, a window smaller than a tile over many tiles', attentionCase(64, [260, 2], { slidingWindow: 5 })],
    ['96, a window of one key, capped', attentionCase(96, [70], { slidingWindow: 1, softcap: 2 })],
  ])('flash attention and its gradients, head size %s', (_, c) => {
    tf.tidy(() => {
      const { q, k, v, dout, tensors, doutTensor } = inputsOf(c, new Random(c.tokens))
      const want = attention(q, k, v, c, dout)
      const [out, lse] = run('CausalAttention', tensors, c)
      expectClose(out!, want.out, 0, 'out')
      expectClose(lse!, want.lse, 0, 'lse')
      const [dq, dk, dv] = run('CausalAttentionGrad', { ...tensors, out, lse, dout: doutTensor }, c)
      expectClose(dq!, want.dq, 0, 'dq')
      expectClose(dk!, want.dk, 0, 'dk')
      expectClose(dv!, want.dv, 0, 'dv')
    })
  })

  test.each([
    ['', {}],
    [', a window', { slidingWindow: 40 }],
  ])('several new tokens on top of a cache%s', (_, rest) => {
    tf.tidy(() => {
      const c = { ...attentionCase(64, [3, 5, 140], rest), kvStart: [10, 120, 200], kvLength: [90, 77, 150] }
      const { q, k, v, tensors } = cachedCase(new Random(4), c, 350)
      const want = attention(q, k, v, c)
      const [out, lse] = run('CausalAttention', tensors, c)
      expectClose(out!, want.out, 0, 'out')
      expectClose(lse!, want.lse, 0, 'lse')
    })
  })

  test.each(decodingCases)('one new token a sequence on top of a cache: %s', (_, c) => {
    tf.tidy(() => {
      const { q, k, v, tensors } = cachedCase(new Random(5), c, 700)
      const want = attention(q, k, v, c)
      const [out, lse] = run('CausalAttention', tensors, c)
      expectClose(out!, want.out, 0, 'out')
      expectClose(lse!, want.lse, 0, 'lse')
    })
  })

  test('the order in which a block runs its threads changes no bit: no barrier is missing', () => {
    const addon: CudaAddon = loadCudaAddon()
    const outcomes = [0, 1, 2].map((schedule) => {
      // On a GPU there is nothing to set: three runs that must agree.
      addon.setSchedule?.(schedule)
      return tf.tidy(() => everyKernel().map((x) => x.dataSync()))
    })
    addon.setSchedule?.(0)
    expect(outcomes[0]!.length).toBeGreaterThan(30)
    expect(outcomes[1]).toEqual(outcomes[0])
    expect(outcomes[2]).toEqual(outcomes[0])
  })
})

/** One call of each kernel with sizes that need several warps, and everything it computed. */
function everyKernel(): tf.Tensor[] {
  const random = new Random(9)
  const [tokens, h] = [37, 520]
  const make = (rows: number, cols: number) => matrix(normals(random, rows * cols), rows, cols)
  const [x, dy] = [make(tokens, h), make(tokens, h)]
  const weight = tf.tensor1d(normals(random, h))
  const norm = { eps: 1e-5, offset: 1 }
  const all: tf.Tensor[] = [
    ...run('RMSNorm', { x, weight }, norm),
    ...run('RMSNormGrad', { dy, x, weight }, norm),
    ...run('RMSNormWeightGrad', { dy, x }, norm),
    ...run('SwiGLU', { gate: x, up: dy }, { activation: 'silu' }),
    ...run('SwiGLUGrad', { dy, gate: x, up: dy }, { activation: 'gelu_tanh' }),
    ...run('GradNorm', { x0: x, x1: weight }),
    tf.softmax(x),
    tf.sum(x, 0),
    tf.sum(x, 1),
    tf.transpose(x),
  ]
  const angles = { cos: make(tokens, 20), sin: make(tokens, 20) }
  all.push(...run('RotaryEmbedding', { x, ...angles }, { headDim: 65, rotaryDim: 40 }))
  for (const [headDim, rest] of [
    [64, { slidingWindow: 30 }],
    [128, { softcap: 3, numHeads: 4 }],
    [40, {}],
  ] as const) {
    const c = attentionCase(headDim, [90, 3], rest)
    const { tensors, doutTensor } = inputsOf(c, random)
    const [out, lse] = run('CausalAttention', tensors, c)
    all.push(out!, lse!, ...run('CausalAttentionGrad', { ...tensors, out, lse, dout: doutTensor }, c))
  }
  const decoding = decodingCases[0]![1]
  all.push(...run('CausalAttention', cachedCase(random, decoding, 700).tensors, decoding))
  for (const format of ['nf4', 'int8', 'bf16'] as const) {
    const w = randomWeight(random, format, 70, h)
    const lora = { loraA: make(8, h), loraB: make(70, 8) }
    const attrs = { ...w.attrs, scaling: 2, dropout: 0.1, seed: 3 }
    const ids = ints([3, 69, 3, 0])
    const labels = ints(Array.from({ length: tokens }, (_, t) => (t % 3 ? t : -100)))
    const head = { ...w.attrs, needsHiddenGrad: true, needsWeightGrad: true, softcap: 4 }
    all.push(
      ...run('Linear', { x, ...w.inputs }, w.attrs),
      ...run('Linear', { x: make(3, h), ...w.inputs }, w.attrs),
      ...run('LoraLinear', { x, ...w.inputs, ...lora }, attrs),
      ...run('LoraLinear', { x: make(1, h), ...w.inputs, ...lora }, { ...attrs, dropout: 0 }),
      ...run('EmbeddingLookup', { ...w.inputs, ids }, w.attrs),
      ...run('EmbeddingGrad', { dy: make(4, h), ids }, { outFeatures: 70 }),
      ...run('LinearCrossEntropy', { hidden: x, ...w.inputs, labels }, head),
    )
  }
  return all
}
