import { fileURLToPath } from 'node:url'
import { loadDataset } from '@tunesmith/datasets'
import { expect, it } from 'vitest'
import { padAsTheNotebookDid, tokenBudget } from './padded'
import { makeRows, SEED } from './rows'

it('the committed table is what the generator writes', async () => {
  const dataset = await loadDataset(fileURLToPath(new URL('../data/questions.parquet', import.meta.url)))
  expect(dataset.toArray()).toEqual(makeRows(SEED))
})

it('has the columns of MedQuAD, one question each, and answers missing', () => {
  const rows = makeRows(SEED)
  expect(Object.keys(rows[0]!)).toHaveLength(13)
  expect(new Set(rows.map(({ question }) => question)).size).toBe(rows.length)
  const missing = rows.filter(({ answer }) => answer === null).length
  expect(missing / rows.length).toBeGreaterThan(0.1)
  expect(missing / rows.length).toBeLessThan(0.25)
})

it('pads and labels as the notebook did', () => {
  const example = { inputIds: [5, 6, 7, 8], labels: [-100, -100, 7, 8] }
  const [padded] = padAsTheNotebookDid([example], { length: 6, padId: 3 })
  expect(padded).toEqual({ inputIds: [5, 6, 7, 8, 3, 3], labels: [3, 3, 7, 8, 3, 3] })
  expect(padAsTheNotebookDid([example], { length: 3, padId: 3 })[0]!.inputIds).toEqual([5, 6, 7])
  expect(tokenBudget([padded!], [example])).toEqual({ tokens: 6, labelled: 5, answers: 2 })
})
