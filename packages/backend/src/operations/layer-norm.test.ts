import type * as tf from '@tensorflow/tfjs-core'
import { Random } from '@tunesmith/core'
import { beforeAll, describe, it } from 'vitest'
import { activate, layerNorm, selectBackend } from '../index'
import { checkOperation } from '../testing/check-gradients'
import type { Numbers } from '../testing/reference'

beforeAll(() => selectBackend())

const normals = (shape: number[], name: string) => {
  const random = new Random(5, name)
  const size = shape.reduce((product, n) => product * n, 1)
  return { shape, values: Float32Array.from({ length: size }, () => 2 * random.normal() + 0.5) }
}

/** In double precision, row by row. */
function reference(x: Numbers, weight: Numbers, bias: Numbers | undefined, eps: number): number[] {
  const width = weight.length
  const y: number[] = []
  for (let row = 0; row < x.length; row += width) {
    const values = Array.from({ length: width }, (_, i) => x[row + i]!)
    const mean = values.reduce((sum, value) => sum + value, 0) / width
    const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / width
    values.forEach((value, i) => {
      y.push(((value - mean) / Math.sqrt(variance + eps)) * weight[i]! + (bias?.[i] ?? 0))
    })
  }
  return y
}

describe('layerNorm', () => {
  const [x, weight, bias] = [normals([5, 12], 'x'), normals([12], 'weight'), normals([12], 'bias')]
  it('with and without a bias', () => {
    checkOperation(
      [x, weight, bias],
      (x, weight, bias) => layerNorm(x as tf.Tensor2D, weight as tf.Tensor1D, bias as tf.Tensor1D, 1e-5),
      (x, weight, bias) => reference(x!, weight!, bias, 1e-5),
      'layerNorm',
    )
    checkOperation(
      [x, weight],
      (x, weight) => layerNorm(x as tf.Tensor2D, weight as tf.Tensor1D, undefined, 0.1),
      (x, weight) => reference(x!, weight!, undefined, 0.1),
      'layerNorm without a bias',
    )
  })
})

/** The normal distribution's function times two less one, by its series (Abramowitz and Stegun 7.1.5). */
function erf(x: number): number {
  let [term, sum] = [x, x]
  for (let n = 1; n < 120; n++) {
    term *= (-x * x) / n
    sum += term / (2 * n + 1)
  }
  return (2 / Math.sqrt(Math.PI)) * sum
}

describe('activate', () => {
  const definitions = {
    silu: (x: number) => x / (1 + Math.exp(-x)),
    gelu: (x: number) => 0.5 * x * (1 + erf(x / Math.SQRT2)),
    gelu_tanh: (x: number) => 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3))),
  }
  for (const [name, definition] of Object.entries(definitions))
    it(name, () => {
      const values = Float32Array.from({ length: 40 }, (_, i) => (i - 20) / 5)
      checkOperation(
        [{ shape: [4, 10], values }],
        (x) => activate(x as tf.Tensor2D, name as keyof typeof definitions),
        (x) => Array.from(x!, definition),
        name,
      )
    })
})
