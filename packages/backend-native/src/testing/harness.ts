import * as tf from '@tensorflow/tfjs-core'
import { Random } from '@tunesmith/core'
import { expect } from 'vitest'
import { registerNativeBackend } from '../index'

/** Selects the backend under test. */
export async function useNative(): Promise<void> {
  registerNativeBackend()
  await tf.setBackend('native')
}

/** Calls one of our kernels. */
export function run(name: string, inputs: Record<string, tf.Tensor | undefined>, attrs: object = {}): tf.Tensor[] {
  const given = Object.fromEntries(Object.entries(inputs).filter(([, x]) => x !== undefined)) as tf.NamedTensorMap
  const out = tf.engine().runKernel(`Tunesmith${name}`, given, attrs as tf.NamedAttrMap) as unknown
  return Array.isArray(out) ? (out as tf.Tensor[]) : [out as tf.Tensor]
}

export function normals(random: Random, size: number, scale = 1): Float32Array {
  return Float32Array.from({ length: size }, () => random.normal() * scale)
}

export const matrix = (values: Float32Array, rows: number, cols: number) => tf.tensor2d(values, [rows, cols])

/** Largest difference relative to the largest reference value. */
export function error(got: ArrayLike<number>, want: ArrayLike<number>): number {
  if (got.length !== want.length) return Number.POSITIVE_INFINITY
  let worst = 0
  let largest = 0
  for (let i = 0; i < want.length; i++) {
    const difference = Math.abs(got[i]! - want[i]!)
    if (!(difference <= worst)) worst = difference
    largest = Math.max(largest, Math.abs(want[i]!))
  }
  return worst / (largest || 1)
}

export function expectClose(got: tf.Tensor, want: ArrayLike<number>, tolerance = 1e-5, what = ''): void {
  const e = error(got.dataSync(), want)
  expect(e, `${what} relative error ${e}`).toBeLessThanOrEqual(tolerance)
}

/** Runs a property on several seeds; the seed of a failure is in its message. */
export function property(seeds: number, check: (random: Random, seed: number) => void): void {
  for (let seed = 1; seed <= seeds; seed++)
    try {
      tf.tidy(() => check(new Random(seed), seed))
    } catch (failure) {
      ;(failure as Error).message = `seed ${seed}: ${(failure as Error).message}`
      throw failure
    }
}
