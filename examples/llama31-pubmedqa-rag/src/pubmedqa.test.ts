import { sharedPath } from '@tunesmith/tooling/shared'
import { type ExampleResult, printPlan, runExample, testConfigsAndPage } from 'example-kit/testing'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

interface Figures {
  trainable: number
  loss: { first: number; last: number }
  accuracy: Record<'base' | 'tuned' | 'merged' | 'withoutContext' | 'retrieved' | 'retrievedTwo' | 'majority', number>
  rougeL: { base: number; tuned: number }
  bleu: { base: number; tuned: number }
  /** Recall@1 of each search. */
  recall: Record<'bm25' | 'dense' | 'hybrid', number>
  /** Of each answer, ids of the studies it was given and of those it cites; numbers that stand for none. */
  citations: { given: string[]; cited: (string | null)[]; unknown: number[] }[]
  longestChat: number
  chatBudget: number
  files: string[]
}

const name = 'llama31-pubmedqa-rag'

describe('the smoke run', () => {
  let result: ExampleResult<Figures>
  beforeAll(async () => {
    result = await runExample<Figures>(name, ['--smoke'])
  }, 600_000)
  afterAll(() => result?.remove())

  it('learns to decide and to say why, and keeps it through the merge', () => {
    const { trainable, loss, accuracy, rougeL, bleu, files } = result.figures
    expect(trainable).toBe(41_943_040)
    expect(loss.last).toBeLessThan(loss.first / 4)
    expect(accuracy.base).toBeLessThan(0.3)
    expect(accuracy.tuned).toBeGreaterThan(0.8)
    expect(accuracy.merged).toBeGreaterThan(0.8)
    expect(rougeL.tuned).toBeGreaterThan(rougeL.base + 0.25)
    expect(bleu.tuned).toBeGreaterThan(bleu.base + 10)
    expect(files.filter((file) => !result.has(file))).toEqual([])
  })

  it('needs the abstract, and keeps its conversations short', () => {
    const { accuracy, longestChat, chatBudget } = result.figures
    expect(accuracy.withoutContext).toBeLessThan(accuracy.merged - 0.2)
    expect(longestChat).toBeLessThanOrEqual(chatBudget - 64)
  })

  it('answers from what a search finds, and cites nothing else', () => {
    const { accuracy, recall, citations } = result.figures
    expect(recall.bm25).toBeGreaterThan(0.8)
    expect(Math.max(...Object.values(recall))).toBeLessThanOrEqual(1)
    expect(accuracy.retrieved).toBeGreaterThan(accuracy.withoutContext + 0.2)
    expect(citations).toHaveLength(120)
    for (const { given, cited, unknown } of citations) {
      expect(unknown).toEqual([])
      for (const id of cited) expect(given).toContain(id)
    }
    expect(citations.filter(({ cited }) => cited.length > 0).length).toBeGreaterThan(100)
    expect(result.printed).toMatch(/the best abstract that was found +\d/)
  })

  testConfigsAndPage(name, () => result)
})

it('prints the plan of the full run, and stops there', { timeout: 60_000 }, async () => {
  expect(await printPlan(name)).toMatch(/trainable params: 41,943,040 [\s\S]*together[\s\S]*nothing was downloaded yet/)
})

const data = sharedPath('data/pubmedqa')
it.skipIf(!data)('reads the real data set', { timeout: 600_000 }, async () => {
  const { figures, remove } = await runExample<Figures>(name, ['--data', data!, '--quick'])
  expect(figures.loss.last).toBeLessThan(figures.loss.first)
  expect(figures.accuracy.tuned).toBeGreaterThan(figures.accuracy.base)
  remove()
})
