// The dry device counts what the emulated one does, to the byte, and does nothing of it.
import * as tf from '@tensorflow/tfjs-core'
import {
  adamWStep,
  causalAttention,
  denseWeight,
  gradNorm,
  linearCrossEntropy,
  loraLinear,
  packedWeight,
  rmsNorm,
  swiglu,
  valueAndGrads,
} from '@tunesmith/backend'
import { useBackend } from '@tunesmith/backend/testing/kernels/harness'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { loadCudaAddon } from './addon'
import { cudaMemory, resetCudaPeak } from './index'
import { emulateCuda } from './testing/emulated'

const there = emulateCuda('bf16')
const [TOKENS, HIDDEN, VOCAB, RANK] = [24, 64, 96, 8]

/** A block's worth of a LoRA step; leaves nothing behind. */
function step() {
  const ones = (rows: number, cols: number) => tf.fill<tf.Rank.R2>([rows, cols], 0.01)
  const weight = packedWeight({
    format: 'bf16',
    outFeatures: HIDDEN,
    inFeatures: HIDDEN,
    bytes: new Uint8Array(2 * HIDDEN * HIDDEN),
  })
  const [a, b] = [tf.variable(ones(RANK, HIDDEN)), tf.variable(ones(HIDDEN, RANK))]
  const moments = [a, b].map((x) => [tf.variable(tf.zerosLike(x)), tf.variable(tf.zerosLike(x))] as const)
  const [x, norm, head] = [ones(TOKENS, HIDDEN), tf.ones<tf.Rank.R1>([HIDDEN]), denseWeight(ones(VOCAB, HIDDEN))]
  const bounds = tf.tensor1d([0, 10, TOKENS], 'int32')
  const labels = tf.tensor1d(new Int32Array(TOKENS).fill(3), 'int32')
  const lora = (y: tf.Tensor2D) => loraLinear(y, weight, a, b, { scaling: 2, dropout: 0, seed: 1 })
  const { value, grads } = valueAndGrads(() => {
    const q = lora(rmsNorm(x, norm, { eps: 1e-5, offset: 0 }))
    const y = causalAttention(q, q, q, bounds, {
      numHeads: 1,
      numKvHeads: 1,
      headDim: HIDDEN,
      scale: 0.1,
      slidingWindow: 0,
      softcap: 0,
    })
    return linearCrossEntropy(lora(swiglu(y, q)), head, labels).loss
  }, [a, b])
  const gradScale = 1 / (1 + gradNorm(grads))
  const options = { lr: 1e-4, beta1: 0.9, beta2: 0.999, eps: 1e-8, weightDecay: 0, step: 1, gradScale }
  for (const [i, param] of [a, b].entries()) adamWStep(param, grads[i]!, ...moments[i]!, options)
  const loss = value.dataSync()[0]!
  tf.dispose([value, ...grads, a, b, ...moments.flat(), x, norm, head.weight, weight.weight, bounds, labels])
  return loss
}

/** What a step takes and submits on a device of its own. */
function measured(dry: boolean) {
  const addon = loadCudaAddon()
  addon.close()
  process.env.TUNESMITH_CUDA_DRY = dry ? '1' : '0'
  const { name } = addon.open(0, 0)
  resetCudaPeak()
  addon.startProfile(false)
  const loss = tf.tidy(step)
  return { name, loss, launches: addon.stopProfile(), memory: cudaMemory() }
}

describe.runIf(there)('the dry device', () => {
  beforeAll(useBackend)
  afterAll(() => {
    delete process.env.TUNESMITH_CUDA_DRY
    delete process.env.TUNESMITH_CUDA_EMULATED_MB
  })

  test('takes the memory and makes the launches of the emulated one, and computes nothing', () => {
    const emulated = measured(false)
    const dry = measured(true)
    expect([emulated.name, dry.name]).toEqual(['emulated device', 'dry device'])
    expect(dry.memory.peak).toBe(emulated.memory.peak)
    expect(dry.memory.peakConsumers).toEqual(emulated.memory.peakConsumers)
    expect(dry.memory.peakConsumers.reduce((sum, { bytes }) => sum + bytes, 0)).toBe(dry.memory.peak)
    expect(dry.memory.live).toBe(emulated.memory.live)
    expect(dry.launches).toEqual(emulated.launches)
    expect(emulated.loss).toBeCloseTo(TOKENS * Math.log(VOCAB), 3)
    expect(dry.loss).toBe(0)
    // Two LoRA layers: three products forward, one that both gradients share, two for A and B, and two for the input's,
    // which the first layer has no use for; the head and its gradient.
    const products = dry.launches.find(({ kernel }) => kernel === 'product')
    expect(products?.launches).toBe(2 * (3 + 1 + 2) + 2 + 2)
  })

  test('pretends to have any memory, and says when it is full', () => {
    process.env.TUNESMITH_CUDA_EMULATED_MB = '8192'
    const { memory } = measured(true)
    expect(memory.total).toBe(8 * 2 ** 30)
    const [large, larger] = [2 ** 30, 2 ** 31].map((size) => () => tf.fill([size], 1))
    tf.dispose(large!())
    expect(larger).toThrow(/No GPU memory for 8\.00 GiB/)
  })
})
