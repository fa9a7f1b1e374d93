import { sharedPath } from '@tunesmith/tooling/shared'
import { type ExampleResult, printPlan, runExample, testConfigsAndPage } from 'example-kit/testing'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

interface Figures {
  trainableLine: string
  quantizedLayers: Record<string, number>
  loss: { first: number; last: number }
  entityF1: { base: number; tuned: number; merged: number; pValue: number }
  rougeL: { base: number; tuned: number }
  mergedSame: number
  page?: [tuned: string, base: string]
  files: string[]
}

const name = 'starling-symptom-diagnosis'

describe('the smoke run', () => {
  let result: ExampleResult<Figures>
  beforeAll(async () => {
    result = await runExample<Figures>(name, ['--smoke'])
  }, 600_000)
  afterAll(() => result?.remove())

  it('quantizes, learns, finds entities, merges and exports', () => {
    const { trainableLine, quantizedLayers, loss, entityF1, mergedSame, files } = result.figures
    expect(trainableLine).toBe('trainable params: 3,407,872 || all params: 7,245,156,352 || trainable%: 0.0470')
    expect(quantizedLayers).toEqual({ nf4: 28, bf16: 1 })
    expect(loss.last).toBeLessThan(loss.first / 4)
    expect(entityF1.base).toBeLessThan(0.05)
    expect(entityF1.tuned).toBeGreaterThan(0.35)
    expect(entityF1.pValue).toBeLessThan(0.01)
    expect(Math.abs(entityF1.merged - entityF1.tuned)).toBeLessThan(0.1)
    expect(mergedSame).toBeGreaterThan(0.8)
    expect(files.filter((file) => !result.has(file))).toEqual([])
  })

  it('answers on the chat page, side by side', ({ skip }) => {
    const { page } = result.figures
    if (!page) return skip('no Chromium is installed (apt-get install chromium)')
    const [tuned, base] = page
    expect(tuned).toMatch(/gout|allopurinol/)
    expect(base).not.toBe(tuned)
    expect(result.has('page.png')).toBe(true)
  })

  testConfigsAndPage(name, () => result)
})

it('prints the plan of the full run, and stops there', { timeout: 60_000 }, async () => {
  expect(await printPlan(name)).toMatch(/trainable params: 3,407,872 [\s\S]*together[\s\S]*nothing was downloaded yet/)
})

const data = sharedPath('data/medtuned')
it.skipIf(!data)('reads the real data set', { timeout: 600_000 }, async () => {
  const { figures, remove } = await runExample<Figures>(name, ['--data', data!, '--quick'])
  expect(figures.loss.last).toBeLessThan(figures.loss.first / 2)
  // So small a model learns the form of the answers from this, not yet the entities.
  expect(figures.rougeL.tuned).toBeGreaterThan(figures.rougeL.base + 0.05)
  remove()
})
