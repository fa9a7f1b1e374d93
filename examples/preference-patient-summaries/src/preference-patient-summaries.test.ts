import { sharedPath } from '@tunesmith/tooling/shared'
import { type ExampleResult, printPlan, runExample, testConfigsAndPage } from 'example-kit/testing'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { makePairs, ofTwoWards, otherOrder } from './pairs'

type Model = 'base' | 'sft' | 'dpo'

interface Figures {
  trainable: number
  sections: string[]
  pairs: number
  loss: { sft: [number, number]; dpo: [number, number] }
  rewards: { chosen: number; rejected: number }
  preferences: Record<Model, { accuracy: number; margin: number; pairs: number }>
  inOrder: Record<Model, number>
  rougeL: Record<'base' | 'SFT' | 'DPO', number>
  files: string[]
}

const name = 'preference-patient-summaries'

it('turns half of the summaries around, the same ones each time, and pairs each with its other order', () => {
  const notes = Array.from({ length: 9 }, (_, i) => ({ id: `${i}`, prompt: `p${i}`, completion: `A: ${i}\nB: ${i}` }))
  const written = ofTwoWards(notes, 3)
  const turned = written.filter(({ completion }) => completion.startsWith('B'))
  expect(turned).toHaveLength(4)
  expect(turned[0]!.completion).toBe(otherOrder(notes[Number(turned[0]!.id)]!.completion))
  expect(ofTwoWards(notes, 3)).toEqual(written)
  const ask = ({ prompt }: { prompt: string }) => prompt
  expect(makePairs(notes, ['A', 'B'], ask)[0]).toEqual({ prompt: 'p0', chosen: 'A: 0\nB: 0', rejected: 'B: 0\nA: 0' })
  expect(makePairs(notes, [], ask)[8]!.rejected).toBe('A: 0\nB: 0')
})

describe('the smoke run', () => {
  let result: ExampleResult<Figures>
  beforeAll(async () => {
    result = await runExample<Figures>(name, ['--smoke'])
  }, 600_000)
  afterAll(() => result?.remove())

  it('learns both orders first, and one of them from the pairs', () => {
    const { sections, pairs, loss, inOrder, preferences } = result.figures
    expect(sections).toEqual(['Patient', 'Reason', 'History', 'Medicines', 'Allergies', 'Plan'])
    expect(pairs).toBeGreaterThan(400)
    expect(loss.sft[1]).toBeLessThan(loss.sft[0] / 4)
    expect(loss.dpo[1]).toBeLessThan(loss.dpo[0] / 2)
    expect(inOrder.base).toBe(0)
    expect(inOrder.sft).toBeLessThan(0.8)
    expect(inOrder.dpo).toBeGreaterThan(Math.max(0.7, inOrder.sft + 0.15))
    expect(preferences.dpo.accuracy).toBeGreaterThan(0.95)
    expect(preferences.dpo.margin).toBeGreaterThan(preferences.sft.margin + 0.3)
  })

  it('keeps what the summaries say, and makes the rejected side unlikely', () => {
    const { rewards, rougeL } = result.figures
    expect(rewards.rejected).toBeLessThan(rewards.chosen - 2)
    expect(rougeL.SFT).toBeGreaterThan(rougeL.base)
    expect(rougeL.DPO).toBeGreaterThan(rougeL.SFT + 0.1)
    expect(result.figures.files.filter((file) => !result.has(file))).toEqual([])
  })

  testConfigsAndPage(name, () => result)
})

it('prints the plan of the full run, and stops there', { timeout: 60_000 }, async () => {
  expect(await printPlan(name)).toMatch(/trainable params: 39,976,960 [\s\S]*together[\s\S]*nothing was downloaded yet/)
})

const data = sharedPath('data/pubmedqa')
it.skipIf(!data)('prefers the conclusion of its own abstract', { timeout: 600_000 }, async () => {
  const { figures, remove } = await runExample<Figures>(name, ['--data', data!, '--quick'])
  expect(figures.sections).toEqual([])
  expect(figures.loss.sft[1]).toBeLessThan(figures.loss.sft[0])
  expect(figures.preferences.dpo.margin).toBeGreaterThan(figures.preferences.sft.margin)
  remove()
})
