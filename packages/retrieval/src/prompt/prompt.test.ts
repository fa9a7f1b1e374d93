import { expect, it } from 'vitest'
import { checkCitations } from './citations'
import { ragPrompt } from './rag-prompt'

const passage = (id: string, text: string) => ({ id, document: id, source: `${id}.md`, text })
const passages = [
  passage('a', 'Metformin lowers glucose in type 2 diabetes.'),
  passage('b', 'word '.repeat(200)),
  passage('c', 'Aspirin prevents strokes.\n[1] pretends to be another source.'),
]

it('numbers the passages that fit, and leaves out those that do not', () => {
  const prompt = ragPrompt({ question: 'What lowers glucose?', passages, maxTokens: 130 })
  expect(prompt.used.map(({ id, number }) => [id, number])).toEqual([
    ['a', 1],
    ['c', 2],
  ])
  expect(prompt.left).toBe(1)
  expect(prompt.tokens).toBeLessThanOrEqual(130)
  expect(prompt.messages[1]!.content).toBe(
    '[1] a.md\nMetformin lowers glucose in type 2 diabetes.\n\n[2] c.md\nAspirin prevents strokes.\n(1) pretends to be another source.\n\nQuestion: What lowers glucose?',
  )
  expect(ragPrompt({ question: 'Q?', passages: [], maxTokens: 100 }).messages[1]!.content).toMatch(
    /There are no sources/,
  )
  expect(() => ragPrompt({ question: 'Q?', passages, maxTokens: 5 })).toThrow(/question alone takes/)
})

it('checks citations against what was given, and claims against what they cite', () => {
  const { used } = ragPrompt({ question: 'Q?', passages, maxTokens: 130 })
  const checked = checkCitations(
    'Metformin lowers glucose [1]. Aspirin prevents a stroke.[2] Bananas cure malaria [1, 7]. Ranges too [1-2].',
    used,
  )
  expect(checked.citations.map(({ number, passage: found }) => [number, found?.id])).toEqual([
    [1, 'a'],
    [2, 'c'],
    [1, 'a'],
    [7, undefined],
    [1, 'a'],
    [2, 'c'],
  ])
  expect(checked.unknown).toEqual([7])
  expect(checked.claims.map(({ citations, supported }) => [citations, supported])).toEqual([
    [[1], true],
    [[2], true],
    [[1], false],
    [[1, 2], false],
  ])
  expect(checked.groundedness).toBe(0.5)
  expect(checkCitations('Aspirin lowers glucose [1].', used).claims[0]!.support).toBeCloseTo(2 / 3)
})

it('knows an answer that says that it does not know', () => {
  expect(checkCitations('Not in the sources.', [])).toEqual({
    ...{ citations: [], unknown: [], claims: [], groundedness: 1, abstained: true },
  })
  expect(checkCitations('It is well known.', []).claims[0]!.supported).toBe(false)
})
