// Gradients that are written over memory nobody needs any more: same values, less memory, and nobody else's data touched.
import * as tf from '@tensorflow/tfjs-core'
import {
  linear,
  loraLinear,
  record,
  residualAdd,
  rmsNorm,
  selectBackend,
  swiglu,
  valueAndGrads,
  type WeightMatrix,
} from '@tunesmith/backend'
import { expectClose, normals, run, useBackend } from '@tunesmith/backend/testing/kernels/harness'
import { Random } from '@tunesmith/core'
import { beforeEach, describe, expect, test } from 'vitest'
import { cudaMemory, resetCudaPeak } from './index'
import { emulateCuda } from './testing/emulated'

const there = emulateCuda('f32')
const [tokens, hidden, inner] = [5, 48, 40]

type Made = { value: number; grads: Float32Array[] }

/** Three readers of one norm (two with LoRA, one frozen), a gated pair, two residual connections. */
function block(dropout: number): Made {
  return tf.tidy(() => {
    const random = new Random(3)
    const make = (rows: number, cols: number, scale = 0.3) =>
      tf.variable(tf.tensor2d(normals(random, rows * cols, scale), [rows, cols]))
    const frozen = (outFeatures: number, inFeatures: number): WeightMatrix => ({
      format: 'f32',
      outFeatures,
      inFeatures,
      weight: tf.tensor2d(normals(random, outFeatures * inFeatures, 0.3), [outFeatures, inFeatures]),
    })
    const [x, norm] = [make(tokens, hidden, 1), tf.variable(tf.tensor1d(normals(random, hidden)))]
    const lora = [make(4, hidden), make(inner, 4), make(4, hidden), make(inner, 4)] as const
    const weights = [
      frozen(inner, hidden),
      frozen(inner, hidden),
      frozen(inner, hidden),
      frozen(hidden, inner),
    ] as const
    const attrs = { scaling: 2, dropout, seed: 7 }
    const { value, grads } = valueAndGrads(() => {
      const start = residualAdd(x as tf.Tensor2D, x as tf.Tensor2D)
      const n = rmsNorm(start, norm as tf.Tensor1D, { eps: 1e-5, offset: 0 })
      const gate = loraLinear(n, weights[0], lora[0] as tf.Tensor2D, lora[1] as tf.Tensor2D, attrs)
      const up = loraLinear(n, weights[1], lora[2] as tf.Tensor2D, lora[3] as tf.Tensor2D, attrs)
      const gated = residualAdd(swiglu(gate, up), linear(n, weights[2]))
      return tf.sum(tf.square(residualAdd(start, linear(gated, weights[3])))) as tf.Scalar
    }, [x, norm, ...lora])
    return { value: value.dataSync()[0]!, grads: grads.map((grad) => grad.dataSync() as Float32Array) }
  })
}

describe.runIf(there)('on the emulated CUDA backend', () => {
  beforeEach(useBackend)

  test.each([0, 0.2])('gradients that meet at one tensor are those of the CPU backend, dropout %s', async (dropout) => {
    const got = block(dropout)
    await selectBackend({ backend: 'cpu' })
    const want = block(dropout)
    expect(Math.abs(got.value / want.value - 1)).toBeLessThan(1e-5)
    for (const [i, grad] of got.grads.entries()) expectClose(tf.tensor1d(grad), want.grads[i]!, 2e-5, `gradient ${i}`)
  })

  test('a gradient is added where it lies only while no other tensor has its memory', () => {
    tf.tidy(() => {
      const random = new Random(5)
      const make = () => tf.tensor2d(normals(random, 64 * 64), [64, 64])
      const [dy, weight] = [make(), make()]
      const attrs = { format: 'f32', outFeatures: 64, inFeatures: 64 }
      // What comes out of a kernel is on the device already.
      const addend = run('LinearGrad', { dy, weight }, attrs)[0]!
      const before = addend.dataSync()
      const other = tf.clone(addend)
      const [apart] = run('LinearGrad', { dy, weight, addend }, attrs)
      expect(other.dataSync()).toEqual(before)
      expectClose(
        apart!,
        before.map((value) => 2 * value),
      )
      other.dispose()
      const live = cudaMemory().live
      const [inPlace] = run('LinearGrad', { dy, weight, addend }, attrs)
      expect(cudaMemory().live).toBe(live)
      expect(inPlace!.dataSync()).toEqual(apart!.dataSync())
    })
  })

  test('the gradients of the gated unit take the memory of gate and up, unless others still have them', () => {
    const [rows, cols] = [64, 1024]
    const random = new Random(6)
    const make = () => tf.tensor2d(normals(random, rows * cols), [rows, cols])
    const [a, b, dy] = [make(), make(), make()]
    const outcome = (hold: boolean) => {
      let added = 0
      const held: tf.Tensor[] = []
      // What the probe hands back is the gradient of the unit's result: at this moment the unit's turn is next.
      const probe = (y: tf.Tensor) =>
        record({
          name: 'probe',
          inputs: { y },
          forward: () => [tf.sum(y)],
          gradient: () => ({
            y: () => {
              const grad = tf.clone(dy)
              resetCudaPeak()
              added = -cudaMemory().live
              return grad
            },
          }),
        })[0] as tf.Scalar
      const made = valueAndGrads(() => {
        // Computed, as projections are: only the tape keeps them for the backward pass.
        const [gate, up] = [tf.add(a, 1) as tf.Tensor2D, tf.add(b, 1) as tf.Tensor2D]
        if (hold) held.push(tf.keep(tf.clone(gate)), tf.keep(tf.clone(up)))
        return probe(swiglu(gate, up))
      }, [a, b])
      added += cudaMemory().peak
      const values = [...made.grads, ...held].map((x) => x.dataSync())
      tf.dispose([made.value, ...made.grads, ...held])
      return { added, grads: values.slice(0, 2), held: values.slice(2) }
    }
    const [apart, inPlace] = [outcome(true), outcome(false)]
    expect(inPlace.grads).toEqual(apart.grads)
    expect(apart.held).toEqual([a, b].map((x) => x.dataSync().map((value) => value + 1)))
    expect(apart.added - inPlace.added).toBe(2 * rows * cols * 4)
    tf.dispose([a, b, dy])
  })
})
