import { expect, it } from 'vitest'
import { Random } from './index'

const draws = (random: Random, count: number) => Array.from({ length: count }, () => random.uint32())

it('gives the same numbers for a seed, on every machine, and others for another seed or stream', () => {
  expect(draws(new Random(1), 4)).toEqual(draws(new Random(1), 4))
  expect(draws(new Random(1), 4)).toMatchInlineSnapshot(`
    [
      3748074583,
      1998728902,
      508629736,
      729474035,
    ]
  `)
  expect(draws(new Random(2), 4)).not.toEqual(draws(new Random(1), 4))
  expect(draws(new Random(1, 'shuffle'), 4)).not.toEqual(draws(new Random(1), 4))
  expect(draws(new Random(2 ** 40 + 1), 4)).not.toEqual(draws(new Random(1), 4))
})

it('goes on from a saved state', () => {
  const random = new Random(9)
  draws(random, 5)
  const state = random.state()
  expect(draws(Random.fromState(state), 5)).toEqual(draws(random, 5))
})

it('is uniform and normal in its first two moments, and every value of a small range is as likely', () => {
  const random = new Random(4)
  const n = 50_000
  const uniforms = Array.from({ length: n }, () => random.uniform())
  const normals = Array.from({ length: n }, () => random.normal())
  const mean = (values: number[]) => values.reduce((sum, value) => sum + value, 0) / values.length
  expect(Math.abs(mean(uniforms) - 0.5)).toBeLessThan(5 * Math.sqrt(1 / 12 / n))
  expect(Math.abs(mean(normals))).toBeLessThan(5 / Math.sqrt(n))
  expect(Math.abs(mean(normals.map((x) => x * x)) - 1)).toBeLessThan(5 * Math.sqrt(2 / n))
  const counts = new Array<number>(7).fill(0)
  for (let i = 0; i < n; i++) counts[random.int(7)]!++
  const chiSquare = counts.reduce((sum, count) => sum + (count - n / 7) ** 2 / (n / 7), 0)
  expect(chiSquare).toBeLessThan(30)
})

it('shuffles to a permutation, typed arrays too', () => {
  const shuffled = new Random(3).shuffle(Int32Array.from({ length: 100 }, (_, i) => i))
  expect(Array.from(shuffled).sort((a, b) => a - b)).toEqual(Array.from({ length: 100 }, (_, i) => i))
  expect(Array.from(shuffled)).not.toEqual(Array.from({ length: 100 }, (_, i) => i))
})
