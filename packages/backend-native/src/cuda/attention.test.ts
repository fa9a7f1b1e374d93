// Attention on the tensor cores of the emulated device, and every kernel under other orders of a block's threads.
import * as tf from '@tensorflow/tfjs-core'
import { Random } from '@tunesmith/core'
import { beforeAll, describe, expect, test } from 'vitest'
import { emulateCuda } from '../testing/emulated'
import { expectClose, matrix, normals, run, useNative } from '../testing/harness'
import { type AttentionCase, attention } from '../testing/reference'
import { randomWeight } from '../testing/weights'
import { type CudaAddon, loadCudaAddon } from './addon'

const there = emulateCuda('bf16')
const ints = (values: readonly number[]) => tf.tensor1d(Int32Array.from(values), 'int32')

function attentionCase(headDim: number, lengths: readonly number[], rest: Partial<AttentionCase> = {}): AttentionCase {
  const cuSeqlens = [0]
  for (const length of lengths) cuSeqlens.push(cuSeqlens.at(-1)! + length)
  const shape = { tokens: cuSeqlens.at(-1)!, cuSeqlens, numHeads: 2, numKvHeads: 1, headDim }
  return { ...shape, scale: headDim ** -0.5, slidingWindow: 0, softcap: 0, ...rest }
}

function inputsOf(c: AttentionCase, random: Random) {
  const [wide, narrow] = [c.numHeads * c.headDim, c.numKvHeads * c.headDim]
  const [q, dout] = [normals(random, c.tokens * wide, 2), normals(random, c.tokens * wide)]
  const [k, v] = [normals(random, c.tokens * narrow, 2), normals(random, c.tokens * narrow)]
  const tensors = {
    q: matrix(q, c.tokens, wide),
    k: matrix(k, c.tokens, narrow),
    v: matrix(v, c.tokens, narrow),
    cuSeqlens: ints(c.cuSeqlens),
  }
  return { q, k, v, dout, tensors, doutTensor: matrix(dout, c.tokens, wide) }
}

describe.runIf(there)('on the emulated CUDA backend in bfloat16', () => {
  beforeAll(useNative)

  test.each([
    ['64, two tiles and a rest, beside a sequence of one token and an empty one', attentionCase(64, [130, 1, 0, 64])],
    ['96, a window', attentionCase(96, [65, 40], { slidingWindow: 20 })],
    ['128, a window wider than a tile, a softcap', attentionCase(128, [150], { slidingWindow: 70, softcap: 8 })],
    ['128, as many key heads as query heads', attentionCase(128, [33, 70], { numKvHeads: 2 })],
    ['128, four query heads to a key head', attentionCase(128, [40], { numHeads: 4 })],
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

  test('several new tokens on top of a cache', () => {
    tf.tidy(() => {
      const c = { ...attentionCase(64, [3, 5]), kvStart: [10, 120], kvLength: [90, 77] }
      const random = new Random(4)
      const [q, k, v] = [normals(random, 8 * 128), normals(random, 200 * 64), normals(random, 200 * 64)]
      const want = attention(q, k, v, c)
      const [out] = run(
        'CausalAttention',
        {
          q: matrix(q, 8, 128),
          k: matrix(k, 200, 64),
          v: matrix(v, 200, 64),
          cuSeqlens: ints(c.cuSeqlens),
          kvStart: ints(c.kvStart),
          kvLength: ints(c.kvLength),
        },
        c,
      )
      expectClose(out!, want.out, 0, 'out')
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
    [40, {}],
  ] as const) {
    const c = attentionCase(headDim, [90, 3], rest)
    const { tensors, doutTensor } = inputsOf(c, random)
    const [out, lse] = run('CausalAttention', tensors, c)
    all.push(out!, lse!, ...run('CausalAttentionGrad', { ...tensors, out, lse, dout: doutTensor }, c))
  }
  for (const format of ['nf4', 'int8', 'bf16'] as const) {
    const w = randomWeight(random, format, 70, h)
    const lora = { loraA: make(8, h), loraB: make(70, 8) }
    const attrs = { ...w.attrs, scaling: 2, dropout: 0.1, seed: 3 }
    const ids = ints([3, 69, 3, 0])
    const labels = ints(Array.from({ length: tokens }, (_, t) => (t % 3 ? t : -100)))
    const head = { ...w.attrs, needsHiddenGrad: true, needsWeightGrad: true, softcap: 4, mode: 'dft' }
    all.push(
      ...run('FrozenLinear', { x, ...w.inputs }, w.attrs),
      ...run('FrozenLinear', { x: make(3, h), ...w.inputs }, w.attrs),
      ...run('LoraLinear', { x, ...w.inputs, ...lora }, attrs),
      ...run('LoraLinear', { x: make(1, h), ...w.inputs, ...lora }, { ...attrs, dropout: 0 }),
      ...run('EmbeddingLookup', { ...w.inputs, ids }, w.attrs),
      ...run('EmbeddingGrad', { dy: make(4, h), ids }, { outFeatures: 70 }),
      ...run('LinearCrossEntropy', { hidden: x, ...w.inputs, labels }, head),
    )
  }
  return all
}
