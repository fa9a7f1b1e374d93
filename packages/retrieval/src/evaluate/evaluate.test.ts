import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { createIndex } from '../index/retrieval-index'
import { hashEmbedder } from '../testing/fake-embedder'
import { evaluateAnswers } from './evaluate-answers'
import { evaluateRetrieval } from './evaluate-retrieval'
import { ndcgAt, precisionAt, recallAt, reciprocalRank } from './ranking-scores'

it('scores rankings', () => {
  const relevant = new Set(['b', 'd', 'x'])
  const found = ['a', 'b', 'c', 'd']
  expect(recallAt(found, relevant, 2)).toBeCloseTo(1 / 3)
  expect(precisionAt(found, relevant, 4)).toBe(0.5)
  expect(precisionAt(['b'], relevant, 4)).toBe(0.25)
  expect(reciprocalRank(found, relevant)).toBe(0.5)
  expect(reciprocalRank([], relevant)).toBe(0)
  const ideal = 1 + 1 / Math.log2(3) + 0.5
  expect(ndcgAt(found, relevant, 4)).toBeCloseTo((1 / Math.log2(3) + 1 / Math.log2(5)) / ideal)
})

it('compares searches on the same questions, and says when one finds less', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'tunesmith-evaluate-'))
  // One bucket for all words: the vectors say nothing.
  const index = await createIndex(join(folder, 'index'), { embedder: hashEmbedder(1) })
  const words = Array.from({ length: 40 }, (_, i) => `word${i}`)
  await index.add(words.map((word) => ({ id: word, text: `${word} <b>text</b>` })))
  const { systems, differences, verdicts, report, files } = await evaluateRetrieval({
    ...{ index, questions: words.map((word) => ({ question: word, documents: [word] })) },
    outputFolder: join(folder, 'report'),
  })
  expect(systems.bm25!.scores['recall@1']).toMatchObject({ mean: 1, low: 1, high: 1 })
  expect(systems.bm25!.scores['precision@10']!.mean).toBeCloseTo(0.1)
  expect(systems.dense!.scores['MRR@10']!.mean).toBeLessThan(0.2)
  expect(differences.dense!.high).toBeLessThan(0)
  expect(verdicts[0]).toMatch(/^dense finds less than bm25: reciprocal rank -0\.9/)
  expect(report.markdown).toContain('dense finds less than bm25')
  expect(report.html).not.toContain('<b>text')
  expect(await readFile(files[0]!, 'utf8')).toBe(report.html)
  await expect(evaluateRetrieval({ index, questions: [] })).rejects.toThrow(/no question/)
  await expect(evaluateRetrieval({ index, questions: [{ question: 'x', documents: [] }] })).rejects.toThrow(
    /question 0/,
  )
  await rm(folder, { recursive: true })
})

it('tells whether retrieval helped, and whether answers rest on what was given', () => {
  const used = [{ id: 'a', document: 'a', source: 'a', text: 'Aspirin prevents strokes.', number: 1 }]
  const rows = [
    { without: 'no', with: 'Aspirin prevents strokes [1].', used },
    { without: 'yes', with: 'Bananas cure everything [2].', used },
  ]
  const result = evaluateAnswers(rows, (answer) => (/^(yes|Aspirin)/.test(answer) ? 1 : 0))
  expect(result.without.mean).toBe(0.5)
  expect(result.with.mean).toBe(0.5)
  expect(result.groundedness.mean).toBe(0.5)
  expect(result.cited.mean).toBe(0.5)
  expect(result.abstained).toBe(0)
  expect(() => evaluateAnswers([], () => 0)).toThrow(/no answer/)
})
