import * as tf from '@tensorflow/tfjs-core'
import { selectBackend } from '@tunesmith/backend'
import { Random } from '@tunesmith/core'
import { afterEach, beforeAll, describe, expect, test } from 'vitest'
import { loadAddon } from './addon'
import { registerNativeBackend } from './index'
import { matrix, normals, run, useBackend } from './testing/native'

const hasBF16 = ['amx', 'avx512_bf16'].includes(loadAddon().isa())

beforeAll(useBackend)
afterEach(() => {
  registerNativeBackend({ precision: 'f32' })
})

/** y = x W^T, [20, 8] of 64 features, with a weight in bfloat16 or float32. So many rows are a product in blocks. */
function product(format: 'bf16' | 'f32'): Float32Array {
  const random = new Random(3)
  const x = matrix(normals(random, 20 * 64), 20, 64)
  const dense = normals(random, 8 * 64)
  const halves = Int32Array.from({ length: dense.length / 2 }, (_, i) => {
    const bits = new Uint32Array(dense.buffer)
    return (bits[2 * i]! >>> 16) | (bits[2 * i + 1]! & 0xffff0000)
  })
  const weight = format === 'f32' ? matrix(dense, 8, 64) : tf.tensor1d(halves, 'int32')
  const [y] = run('Linear', { x, weight }, { format, outFeatures: 8, inFeatures: 64 })
  return y!.dataSync() as Float32Array
}

describe('the precision of products', () => {
  test('is float32 in these tests, and is said', async () => {
    expect(registerNativeBackend()).toMatchObject({ precision: 'f32' })
    expect((await selectBackend({ backend: 'native' })).description).not.toContain('products in bf16')
  })

  test('another one is refused by name, and by a backend that has one only', async () => {
    expect(() => registerNativeBackend({ precision: 'fp8' as never })).toThrow(
      'precision must be bf16 or f32, not "fp8"',
    )
    await expect(selectBackend({ backend: 'native', precision: 'tf32' })).rejects.toThrow('not "tf32"')
    await expect(selectBackend({ backend: 'cpu', precision: 'bf16' })).rejects.toThrow('computes in f32, not in bf16')
    await useBackend()
  })

  test.skipIf(hasBF16)('bf16 is refused where the processor has no such products', () => {
    expect(() => registerNativeBackend({ precision: 'bf16' })).toThrow('This processor has no products in bf16')
  })

  test.runIf(hasBF16)(
    'bf16 rounds the factors of products with weights that are no float32, and only those',
    async () => {
      const exact = { bf16: product('bf16'), f32: product('f32') }
      expect((await selectBackend({ backend: 'native', precision: 'bf16' })).description).toContain('products in bf16')
      expect(product('f32')).toEqual(exact.f32)
      const rounded = product('bf16')
      expect(rounded).not.toEqual(exact.bf16)
      rounded.forEach((value, i) => {
        expect(Math.abs(value - exact.bf16[i]!)).toBeLessThan(2e-2 * Math.sqrt(64))
      })
    },
  )
})
