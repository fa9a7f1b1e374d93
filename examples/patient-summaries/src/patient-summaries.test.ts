import { sharedPath } from '@tunesmith/tooling/shared'
import { type ExampleResult, printPlan, runExample, testConfigsAndPage } from 'example-kit/testing'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

interface Figures {
  trainable: number
  dropped: number
  longestKept: number
  idsInTraining: number
  packing: { efficiency: number }
  spot: { firstExit: number; firstLast: number; resumedStep: number; secondExit: number; last: number }
  loss: { first: number; last: number }
  shards: number
  mergedSame: number
  sections: string[]
  passes: Record<string, { base: number; tuned: number }>
  rougeL: { base: number; tuned: number; pValue: number }
  judge: { wins: { base: number; tuned: number }; positionBias: number }
  files: string[]
}

const name = 'patient-summaries'

describe('the smoke run', () => {
  let result: ExampleResult<Figures>
  beforeAll(async () => {
    result = await runExample<Figures>(name, ['--smoke'])
  }, 600_000)
  afterAll(() => result?.remove())

  it('filters by length, keeps ids out, packs', () => {
    const { trainable, dropped, longestKept, idsInTraining, packing } = result.figures
    expect(trainable).toBe(39_976_960)
    expect(dropped).toBe(23)
    expect(longestKept).toBeLessThanOrEqual(384)
    expect(idsInTraining).toBe(0)
    expect(packing.efficiency).toBeGreaterThan(0.9)
  })

  it('is interrupted, goes on, and learns', () => {
    const { spot, loss } = result.figures
    expect(spot).toMatchObject({ firstExit: 143, resumedStep: spot.firstLast, secondExit: 0, last: 64 })
    expect(spot.firstLast).toBeGreaterThanOrEqual(21)
    expect(spot.firstLast).toBeLessThan(60)
    expect(loss.last).toBeLessThan(loss.first / 4)
  })

  it('saves shards that give the same summaries', () => {
    expect(result.figures.shards).toBeGreaterThan(2)
    expect(result.figures.mergedSame).toBeGreaterThan(0.8)
    expect(result.figures.files.filter((file) => !result.has(file))).toEqual([])
  })

  it('is better, by every measure', () => {
    const { sections, passes, rougeL, judge } = result.figures
    expect(sections).toEqual(['Patient', 'Reason', 'History', 'Medicines', 'Allergies', 'Plan'])
    expect(passes['required sections']!.base).toBe(0)
    expect(passes['required sections']!.tuned).toBeGreaterThan(0.8)
    expect(rougeL.tuned).toBeGreaterThan(rougeL.base + 0.4)
    expect(rougeL.pValue).toBeLessThan(0.02)
    expect(judge.wins.tuned).toBeGreaterThan(40)
    expect(judge.positionBias).toBe(0)
  })

  testConfigsAndPage(name, () => result)
})

it('prints the plan of the full run, and stops there', { timeout: 60_000 }, async () => {
  expect(await printPlan(name)).toMatch(/trainable params: 39,976,960 [\s\S]*together[\s\S]*nothing was downloaded yet/)
})

const data = sharedPath('data/pubmedqa')
it.skipIf(!data)('reads real abstracts and their conclusions', { timeout: 600_000 }, async () => {
  const { figures, remove } = await runExample<Figures>(name, ['--data', data!, '--quick'])
  expect(figures.loss.last).toBeLessThan(figures.loss.first)
  expect(figures.idsInTraining).toBe(0)
  expect(figures.spot).toMatchObject({ firstExit: 143, secondExit: 0 })
  remove()
})
