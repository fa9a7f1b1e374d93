// Products take float32 parameters in bf16: converted once, and never older than the parameter.
import * as tf from '@tensorflow/tfjs-core'
import { adamW8bitStep, adamWStep, createAdamW8bitState, disposeAdamW8bitState } from '@tunesmith/backend'
import { normals, run, useBackend } from '@tunesmith/backend/testing/kernels/harness'
import { Random } from '@tunesmith/core'
import { beforeAll, describe, expect, test } from 'vitest'
import { loadCudaAddon } from './addon'
import { cudaMemory } from './index'
import { emulateCuda } from './testing/emulated'

const there = emulateCuda('bf16')
const [tokens, width, rank] = [6, 64, 8]
const copies = () => cudaMemory().consumers.find(({ name }) => name === 'parameters in bf16')

describe.runIf(there)('bf16 copies of parameters on the emulated CUDA backend', () => {
  beforeAll(useBackend)

  test('follow every way of writing to the parameter, cost one conversion, and go with it', () => {
    const random = new Random(2)
    const make = (rows: number, cols: number) => tf.tensor2d(normals(random, rows * cols), [rows, cols])
    const [x, one, weight, grad] = [make(tokens, width), make(1, width), make(width, width), make(rank, width)]
    const variable = (rows: number, cols: number) => tf.tidy(() => tf.variable(make(rows, cols)))
    const [loraA, loraB] = [variable(rank, width), variable(width, rank)]
    const attrs = { format: 'f32', outFeatures: width, inFeatures: width, scaling: 1, dropout: 0, seed: 0 }
    const outputs = (a: tf.Tensor, b: tf.Tensor) =>
      tf.tidy(() =>
        [x, one].map((input) => run('LoraLinear', { x: input, weight, loraA: a, loraB: b }, attrs)[0]!.dataSync()),
      )
    /** The layer gives what it gives for parameters that nobody has seen before. */
    const isCurrent = () => {
      const [freshA, freshB] = [loraA, loraB].map((v) => tf.tensor(v.dataSync(), v.shape))
      expect(outputs(loraA, loraB)).toEqual(outputs(freshA!, freshB!))
      tf.dispose([freshA!, freshB!])
    }
    const conversions = () => {
      const addon = loadCudaAddon()
      addon.startProfile(false)
      outputs(loraA, loraB)
      const rows = addon.stopProfile()
      return rows.filter(({ kernel }) => kernel === 'convert').reduce((sum, { launches }) => sum + launches, 0)
    }
    isCurrent()
    expect(copies()?.count).toBe(2)
    const rest = conversions()

    const moments = [variable(rank, width), tf.tidy(() => tf.variable(tf.zeros([rank, width])))] as const
    const step = { lr: 0.3, beta1: 0.9, beta2: 0.99, eps: 1e-8, weightDecay: 0.1, step: 1, gradScale: 1 }
    const before = outputs(loraA, loraB)
    adamWStep(loraA, grad, ...moments, step)
    expect(outputs(loraA, loraB)).not.toEqual(before)
    isCurrent()
    // The step wrote the copy as well.
    expect(conversions()).toBe(rest)

    const qmap1 = tf.tensor1d(Float32Array.from({ length: 256 }, (_, i) => (i - 127) / 128))
    const qmap2 = tf.tensor1d(Float32Array.from({ length: 256 }, (_, i) => i / 255))
    const state = createAdamW8bitState({ size: loraB.size, qmap1, qmap2 })
    const gradB = tf.tensor(normals(random, loraB.size), loraB.shape)
    adamW8bitStep(loraB, gradB, state, step)
    isCurrent()
    expect(conversions()).toBe(rest)

    tf.tidy(() => loraA.assign(tf.mul(loraA, 2)))
    isCurrent()

    disposeAdamW8bitState(state)
    tf.dispose([x, one, weight, grad, gradB, loraA, loraB, qmap1, qmap2, ...moments])
    expect(copies()).toBeUndefined()
  })
})
