// Attention of decoding in float32, where only the order of sums separates it from the definition.
import * as tf from '@tensorflow/tfjs-core'
import { Random } from '@tunesmith/core'
import { beforeAll, describe, test } from 'vitest'
import { cachedCase, decodingCases } from '../testing/attention-cases'
import { emulateCuda } from '../testing/emulated'
import { expectClose, run, useNative } from '../testing/harness'
import { attention } from '../testing/reference'

const there = emulateCuda('f32')

describe.runIf(there)('on the emulated CUDA backend in float32', () => {
  beforeAll(useNative)

  test.each(decodingCases)('one new token a sequence on top of a cache: %s', (_, c) => {
    tf.tidy(() => {
      const { q, k, v, tensors } = cachedCase(new Random(6), c, 700)
      const want = attention(q, k, v, c)
      const [out, lse] = run('CausalAttention', tensors, c)
      expectClose(out!, want.out, 1e-5, 'out')
      expectClose(lse!, want.lse, 1e-5, 'lse')
    })
  })
})
