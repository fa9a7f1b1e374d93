import { expect, it } from 'vitest'
import { atOnce, createTurns, inTurns } from './index'

function* adding(milliseconds: number): Generator<void, number> {
  let sum = 0
  for (let i = 0; i < 10; i++) {
    const start = performance.now()
    while (performance.now() - start < milliseconds);
    sum += i
    yield
  }
  return sum
}

it('gives timers their turn in a long loop, and only then', async () => {
  let timers = 0
  const timer = setInterval(() => timers++, 1)
  expect(await inTurns(adding(5))).toBe(45)
  clearInterval(timer)
  expect(timers).toBeGreaterThan(2)
  expect(atOnce(adding(0))).toBe(45)
  expect(createTurns(1000)()).toBeUndefined()
})

it('throws what the work throws', async () => {
  function* failing(): Generator<void, never> {
    yield
    throw new Error('no more')
  }
  expect(() => atOnce(failing())).toThrow('no more')
  await expect(inTurns(failing())).rejects.toThrow('no more')
})
