import * as tf from '@tensorflow/tfjs-core'
import { Random } from '@tunesmith/core'
import { expect } from 'vitest'

/** A backend with kernels of its own. */
export interface BackendUnderTest {
  name: string
  register: () => unknown
  /** Sets how many threads compute, where that can be chosen. */
  setThreads?: (threads: number) => void
  /** Relative error that its precision needs; set for half precision alone, which is then tested on numbers it has. */
  tolerance?: number
  /** An emulated device: fewer of the same cases. */
  slow?: boolean
}

let under: BackendUnderTest | undefined

/** Names the backend that this test file is about; comes before the suites are imported. */
export function testOn(backend: BackendUnderTest): void {
  under = backend
}

export const backendUnderTest = () => under!.name
export const setThreads = (threads: number) => under!.setThreads?.(threads)

/** Selects the backend under test. */
export async function useBackend(): Promise<void> {
  under!.register()
  await tf.setBackend(under!.name)
}

/** Calls one of our kernels. */
export function run(name: string, inputs: Record<string, tf.Tensor | undefined>, attrs: object = {}): tf.Tensor[] {
  const given = Object.fromEntries(Object.entries(inputs).filter(([, x]) => x !== undefined)) as tf.NamedTensorMap
  const out = tf.engine().runKernel(`Tunesmith${name}`, given, attrs as tf.NamedAttrMap) as unknown
  return Array.isArray(out) ? (out as tf.Tensor[]) : [out as tf.Tensor]
}

export function normals(random: Random, size: number, scale = 1): Float32Array {
  const values = Float32Array.from({ length: size }, () => random.normal() * scale)
  // Half precision is tested on numbers it has, so that its error is that of the computation.
  if (under!.tolerance)
    new Uint32Array(values.buffer).forEach((_, i, bits) => {
      bits[i] = bits[i]! & 0xffff0000
    })
  return values
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
  const allowed = Math.max(tolerance, under!.tolerance ?? 0)
  expect(e, `${what} relative error ${e}`).toBeLessThanOrEqual(allowed)
}

/** Runs a property on several seeds; the seed of a failure is in its message. */
export function property(seeds: number, check: (random: Random, seed: number) => void): void {
  const count = under!.slow ? Math.ceil(seeds / 3) : seeds
  for (let seed = 1; seed <= count; seed++)
    try {
      tf.tidy(() => check(new Random(seed), seed))
    } catch (failure) {
      ;(failure as Error).message = `seed ${seed}: ${(failure as Error).message}`
      throw failure
    }
}
