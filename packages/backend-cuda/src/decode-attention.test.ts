// Attention of decoding in float32, where only the order of sums separates it from the definition.
import * as tf from '@tensorflow/tfjs-core'
import { cachedCase, decodingCases } from '@tunesmith/backend/testing/kernels/attention-cases'
import { expectClose, run, useBackend } from '@tunesmith/backend/testing/kernels/harness'
import { attention } from '@tunesmith/backend/testing/kernels/reference'
import { Random } from '@tunesmith/core'
import { beforeAll, describe, test } from 'vitest'
import { emulateCuda } from './testing/emulated'

const there = emulateCuda('f32')

describe.runIf(there)('on the emulated CUDA backend in float32', () => {
  beforeAll(useBackend)

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
