import * as tf from '@tensorflow/tfjs-core'
import { expect } from 'vitest'
import { valueAndGrads } from '../autograd/value-and-grads'
import type { Numbers } from './reference'

export interface Differentiable {
  shape: number[]
  values: Float32Array
}

/** Largest difference relative to the largest reference value. */
export function relativeError(got: Numbers, want: Numbers): number {
  expect(got.length).toBe(want.length)
  let [worst, largest] = [0, 1e-30]
  for (let i = 0; i < want.length; i++) {
    worst = Math.max(worst, Math.abs(got[i]! - want[i]!))
    largest = Math.max(largest, Math.abs(want[i]!))
  }
  return Number.isFinite(worst) ? worst / largest : Number.POSITIVE_INFINITY
}

/** Some elements of a gradient by central differences in float64; their error is about 1e-9 of the function. */
function differences(f: (values: Float64Array) => number, at: Float32Array, elements: number[]): number[] {
  const x = Float64Array.from(at)
  return elements.map((i) => {
    const [kept, step] = [x[i]!, 1e-5]
    x[i] = kept + step
    const above = f(x)
    x[i] = kept - step
    const below = f(x)
    x[i] = kept
    return (above - below) / (2 * step)
  })
}

/**
 * Checks an operation and its gradients against a float64 definition: the output element by element, the gradient of
 * a random weighted sum of it by differences, at up to 40 elements of each input.
 */
export function checkOperation(
  inputs: Differentiable[],
  operation: (...tensors: tf.Variable[]) => tf.Tensor,
  reference: (...values: Numbers[]) => Numbers,
  what: string,
): void {
  const variables = inputs.map(({ shape, values }) => tf.tidy(() => tf.variable(tf.tensor(values, shape))))
  const plain = inputs.map(({ values }) => values)
  const want = reference(...plain)
  const weights = Float32Array.from(want, (_, i) => Math.sin(i * 1.7 + 0.3))
  const got = tf.tidy(() => operation(...variables).dataSync())
  expect(relativeError(got, want), `${what}: output`).toBeLessThan(1e-5)

  const { value, grads } = valueAndGrads(() => {
    const y = operation(...variables)
    return tf.sum(tf.mul(y, tf.tensor(weights, y.shape))) as tf.Scalar
  }, variables)
  const weighted = (values: Numbers[]) => {
    const y = reference(...values)
    let sum = 0
    for (let i = 0; i < y.length; i++) sum += y[i]! * weights[i]!
    return sum
  }
  inputs.forEach(({ values }, i) => {
    const stride = Math.max(1, Math.floor(values.length / 40))
    const elements = Array.from({ length: Math.ceil(values.length / stride) }, (_, n) => n * stride)
    const replaced = (x: Numbers) => weighted(plain.map((old, j) => (j === i ? x : old)))
    const gradient = grads[i]!.dataSync() as Float32Array
    const scale = gradient.reduce((max, g) => Math.max(max, Math.abs(g)), 1e-6)
    differences(replaced, values, elements).forEach((expected, n) => {
      const error = Math.abs(gradient[elements[n]!]! - expected) / scale
      expect(error, `${what}: gradient of input ${i} at ${elements[n]}`).toBeLessThan(2e-5)
    })
  })
  tf.dispose([value, ...grads, ...variables])
}
