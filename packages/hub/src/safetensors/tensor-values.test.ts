import { describe, expect, it } from 'vitest'
import { tensorMismatches, tensorValues } from './tensor-values'

describe('tensorValues', () => {
  it('widens the half precisions, views float32 and rounds float64, at any offset', () => {
    expect([...tensorValues(Uint8Array.of(0x80, 0x3f, 0x20, 0xc0), 'BF16', 'w')]).toEqual([1, -2.5])
    expect([...tensorValues(Uint8Array.of(0x00, 0x3c, 0x00, 0xc1), 'F16', 'w')]).toEqual([1, -2.5])
    const bytes = new Uint8Array(9)
    bytes.set(new Uint8Array(Float32Array.of(1.25, -3).buffer), 1)
    expect([...tensorValues(bytes.subarray(1), 'F32', 'w')]).toEqual([1.25, -3])
    const doubles = new Uint8Array(17)
    doubles.set(new Uint8Array(Float64Array.of(0.1, -3).buffer), 1)
    expect([...tensorValues(doubles.subarray(1), 'F64', 'w')]).toEqual([Math.fround(0.1), -3])
    expect(() => tensorValues(bytes, 'F8_E4M3', 'layer.w')).toThrow(/layer\.w.*F8_E4M3/s)
  })
})

describe('tensorMismatches', () => {
  it('names what is missing, left over and of another shape', () => {
    const expected = new Map([
      ['a', [2, 3]],
      ['b', [4]],
      ['c', [5]],
    ])
    expect(tensorMismatches({ expected, found: expected })).toEqual([])
    const found = new Map([
      ['a', [3, 2]],
      ['b', [4]],
      ['old', [1]],
      ['d', [1]],
    ])
    expect(tensorMismatches({ expected, found, ignore: (name) => name === 'old' })).toEqual([
      'missing: c',
      'not expected: d',
      'wrong shape: a is [3,2] instead of [2,3]',
    ])
  })
})
