import { sharedPath } from '@tunesmith/tooling/shared'
import { type ExampleResult, printPlan, runExample, testConfigsAndPage } from 'example-kit/testing'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

interface Way {
  computedPerAnswerToken: number
  secondsPerStep: number
  evalLoss: number
}
interface Figures {
  trainableLine: string
  loss: { first: number; last: number }
  evalLosses: number[]
  rougeL: { base: number; padded: number; right: number; tuned: number }
  padded: Way
  right: Way
  mergedSame: number
  files: string[]
}

const name = 'tinyllama-medibot'

describe('the smoke run', () => {
  let result: ExampleResult<Figures>
  beforeAll(async () => {
    result = await runExample<Figures>(name, ['--smoke'])
  }, 600_000)
  afterAll(() => result?.remove())

  it('learns to answer, and merges', () => {
    const { trainableLine, loss, evalLosses, rougeL, mergedSame, files } = result.figures
    expect(trainableLine).toBe('trainable params: 2,252,800 || all params: 1,102,301,184 || trainable%: 0.2044')
    expect(loss.last).toBeLessThan(loss.first / 2)
    expect(evalLosses).toHaveLength(3)
    expect(evalLosses[2]).toBeLessThan(evalLosses[0]!)
    expect(rougeL.base).toBeLessThan(0.2)
    expect(rougeL.tuned).toBeGreaterThan(0.55)
    expect(mergedSame).toBeGreaterThan(0.8)
    expect(files.filter((file) => !result.has(file))).toEqual([])
  })

  it('shows what padding and its labels cost', () => {
    const { padded, right, rougeL } = result.figures
    expect(padded.computedPerAnswerToken).toBeGreaterThan(20 * right.computedPerAnswerToken)
    expect(padded.secondsPerStep).toBeGreaterThan(5 * right.secondsPerStep)
    expect(padded.evalLoss).toBeGreaterThan(1.5 * right.evalLoss)
    expect(rougeL.padded).toBeLessThan(rougeL.tuned / 2)
  })

  testConfigsAndPage(name, () => result)
})

it('prints the plan of the full run, and stops there', { timeout: 60_000 }, async () => {
  expect(await printPlan(name)).toMatch(/trainable params: 2,252,800 [\s\S]*together[\s\S]*nothing was downloaded yet/)
})

const data = sharedPath('data/medquad')
it.skipIf(!data)('reads the real data set', { timeout: 600_000 }, async () => {
  const { figures, remove } = await runExample<Figures>(name, ['--data', data!, '--quick'])
  expect(figures.loss.last).toBeLessThan(figures.loss.first)
  expect(figures.padded.evalLoss).toBeGreaterThan(figures.right.evalLoss)
  remove()
})
