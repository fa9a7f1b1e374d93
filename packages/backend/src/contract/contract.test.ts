import * as tf from '@tensorflow/tfjs-core'
import { isTunesmithError } from '@tunesmith/core'
import { beforeAll, describe, expect, it } from 'vitest'
import { runKernel, selectBackend } from '../index'
import { testedBackends } from '../testing/backends'

const f32 = { format: 'f32', outFeatures: 3, inFeatures: 4, blockSize: 0, roundTo: 'none' }
const nf4 = { ...f32, format: 'nf4', blockSize: 64 }
const attention = { numHeads: 2, numKvHeads: 1, headDim: 4, scale: 1, slidingWindow: 0, softcap: 0 }
const loss = { ...f32, softcap: 0, needsHiddenGrad: true, needsWeightGrad: false }
const ints = (...values: number[]) => tf.tensor1d(values, 'int32')
const w = () => tf.ones([3, 4])
const disposed = <T extends tf.Tensor>(x: T): T => {
  x.dispose()
  return x
}
const rotary = (half: number) => ({ x: tf.ones([5, 8]), cos: tf.ones([5, half]), sin: tf.ones([5, half]) })
const qkv = () => ({ q: tf.ones([5, 8]), k: tf.ones([5, 4]), v: tf.ones([5, 4]) })

const cases: [string, RegExp, string, () => Record<string, tf.Tensor>, object][] = [
  ['a missing input', /"x" is missing/, 'Linear', () => ({ weight: w() }), f32],
  ['a wrong rank', /"x" must have shape/, 'Linear', () => ({ x: tf.ones([4]), weight: w() }), f32],
  ['a wrong width', /"x" must have shape/, 'Linear', () => ({ x: tf.ones([2, 5]), weight: w() }), f32],
  ['a wrong type', /must be float32/, 'Linear', () => ({ x: tf.ones([2, 4], 'int32'), weight: w() }), f32],
  ['a short weight', /"weight" must have/, 'Linear', () => ({ x: tf.ones([2, 4]), weight: ints(1) }), nf4],
  ['no scales', /"absmax" is missing/, 'Linear', () => ({ x: tf.ones([2, 4]), weight: ints(1, 2) }), nf4],
  ['another format', /format "q9"/, 'Linear', () => ({ x: tf.ones([2, 4]), weight: w() }), { ...f32, format: 'q9' }],
  [
    'a bias that would broadcast',
    /"bias"/,
    'Linear',
    () => ({ x: tf.ones([2, 4]), weight: w(), bias: tf.ones([1]) }),
    f32,
  ],
  [
    'a norm of another width',
    /"weight"/,
    'RMSNorm',
    () => ({ x: tf.ones([2, 4]), weight: tf.ones([1]) }),
    { eps: 1, offset: 0 },
  ],
  [
    'gate and up that differ',
    /"up"/,
    'SwiGLU',
    () => ({ gate: tf.ones([2, 4]), up: tf.ones([1, 4]) }),
    { activation: 'silu' },
  ],
  [
    'a disposed input',
    /"x" is a tensor that was disposed of.*tf\.keep/,
    'Linear',
    () => ({ x: disposed(tf.ones([2, 4])), weight: w() }),
    f32,
  ],
  [
    'a disposed weight',
    /"weight" is a tensor that was disposed of/,
    'Linear',
    () => ({ x: tf.ones([2, 4]), weight: disposed(w()) }),
    f32,
  ],
  ['a disposed gradient', /"x1" is a tensor/, 'GradNorm', () => ({ x0: w(), x1: disposed(w()) }), {}],
  ['a norm of whole numbers', /"x0" must have/, 'GradNorm', () => ({ x0: ints(3) }), {}],
  ['an id outside the table', /ids inside/, 'EmbeddingLookup', () => ({ ids: ints(0, 3), weight: w() }), f32],
  [
    'an id before the table',
    /ids inside/,
    'EmbeddingGrad',
    () => ({ ids: ints(-1), dy: tf.ones([1, 4]) }),
    { outFeatures: 3 },
  ],
  [
    'a label too high',
    /labels inside/,
    'LinearCrossEntropy',
    () => ({ hidden: tf.ones([1, 4]), labels: ints(3), weight: w() }),
    loss,
  ],
  [
    'sequences beyond the tokens',
    /sequences inside/,
    'CausalAttention',
    () => ({ ...qkv(), cuSeqlens: ints(0, 9) }),
    attention,
  ],
  [
    'sequences that run backwards',
    /sequences inside/,
    'CausalAttention',
    () => ({ ...qkv(), cuSeqlens: ints(0, 4, 2, 5) }),
    attention,
  ],
  [
    'keys beyond the cache',
    /sequences inside/,
    'CausalAttention',
    () => ({ ...qkv(), cuSeqlens: ints(0, 5), kvStart: ints(2), kvLength: ints(5) }),
    attention,
  ],
  [
    'heads that do not divide',
    /share kv heads/,
    'CausalAttention',
    () => ({ q: tf.ones([5, 12]), k: tf.ones([5, 8]), v: tf.ones([5, 8]), cuSeqlens: ints(0, 5) }),
    { ...attention, numHeads: 3, numKvHeads: 2 },
  ],
  [
    'heads without elements',
    /share kv heads/,
    'CausalAttention',
    () => ({ q: tf.ones([5, 0]), k: tf.ones([5, 0]), v: tf.ones([5, 0]), cuSeqlens: ints(0, 5) }),
    { ...attention, headDim: 0 },
  ],
  ['no whole heads', /whole heads of 0/, 'RotaryEmbedding', () => rotary(0), { headDim: 0, rotaryDim: 0 }],
  [
    'more than a head',
    /rotaryDim up to headDim 4, not 8/,
    'RotaryEmbedding',
    () => rotary(4),
    { headDim: 4, rotaryDim: 8 },
  ],
]

for (const backend of testedBackends)
  describe(`wrong calls on ${backend} are TunesmithErrors`, () => {
    beforeAll(async () => {
      await selectBackend({ backend })
    })

    it.each(cases)('%s', (_, message, kernel, inputs, attrs) => {
      let failure: unknown
      const before = tf.memory().numTensors
      tf.tidy(() => {
        try {
          runKernel(`Tunesmith${kernel}`, inputs(), attrs)
        } catch (error) {
          failure = error
        }
      })
      if (!isTunesmithError(failure)) throw failure ?? new Error('nothing was thrown')
      expect(failure.message).toMatch(message)
      expect(failure.message).toContain(kernel)
      expect(failure.code).toBe('invalid_data')
      expect(tf.memory().numTensors).toBe(before)
    })
  })
