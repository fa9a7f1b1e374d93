import { Random } from '@tunesmith/core'
import { expect, it } from 'vitest'
import { rotaryTables } from '../index'

const plain = (positions: ArrayLike<number>, frequencies: Float32Array, scale: number, f: (angle: number) => number) =>
  Float32Array.from(
    Array.from(positions).flatMap((position) =>
      Array.from(frequencies, (frequency) => f(Math.fround(position * frequency)) * scale),
    ),
  )

it('gives the same rows whatever was asked before: other lengths, frequencies and scales', () => {
  const random = new Random(3)
  const run = (from: number, count: number) => Array.from({ length: count }, (_, i) => from + i)
  const batches = [
    run(0, 5),
    [...run(0, 40), ...run(0, 3), ...run(7, 9)],
    [...run(16380, 8), 123456, 0],
    [3],
    [2.5, 1],
    Int32Array.from({ length: 60 }, () => random.int(200)),
    [],
  ]
  for (const scale of [1, 1.5])
    for (const theta of [100, 10000])
      for (const half of [4, 3]) {
        const frequencies = Float32Array.from({ length: half }, (_, i) => theta ** (-i / half))
        for (const positions of batches) {
          const { cos, sin } = rotaryTables(positions, frequencies, scale)
          expect(cos).toEqual(plain(positions, frequencies, scale, Math.cos))
          expect(sin).toEqual(plain(positions, frequencies, scale, Math.sin))
        }
      }
})

it('gives arrays of their own', () => {
  const frequencies = Float32Array.of(1, 0.5)
  rotaryTables([0, 1, 2], frequencies).cos.fill(7)
  frequencies[1] = 0.25
  expect(rotaryTables([2], frequencies).cos).toEqual(Float32Array.of(Math.cos(2), Math.cos(0.5)))
})
