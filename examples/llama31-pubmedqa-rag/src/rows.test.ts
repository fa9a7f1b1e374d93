import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { answerText, ask, type Question, readQuestion, reasonOf, studyOf, withoutCitations } from './pubmedqa-row'
import { makeSplits, SEED, SPLITS } from './rows'

const splits = makeSplits(SEED)
const row: Question = { id: '1', question: 'Q?', contexts: ['a'], longAnswer: 'It is. So it is.', decision: 'maybe' }
const names = Object.keys(SPLITS) as (keyof typeof SPLITS)[]

it.each(names)('the committed %s file is what the generator writes', (name) => {
  const text = readFileSync(new URL(`../data/${name}.jsonl`, import.meta.url), 'utf8')
  expect(text).toBe(splits[name].map((row) => `${JSON.stringify(row)}\n`).join(''))
  expect(splits[name]).toHaveLength(SPLITS[name])
})

it('no study of the test part is trained on, and every decision occurs', () => {
  const key = ({ context }: (typeof splits.test)[0]) => context.contexts.join(' ')
  const trained = new Set(splits.train.map(key))
  expect(splits.test.filter((row) => trained.has(key(row)))).toEqual([])
  for (const name of names)
    for (const decision of ['yes', 'no', 'maybe'])
      expect(splits[name].some(({ final_decision }) => final_decision === decision)).toBe(true)
})

it('reads rows of the Hub and of the authors’ file alike', () => {
  const expected = { id: '1', question: 'Q?', contexts: ['a', 'b'], longAnswer: 'L', decision: 'no' }
  const hub = { pubid: 1, question: 'Q?', context: { contexts: ['a', 'b'] }, long_answer: 'L', final_decision: 'no' }
  const file = { id: '1', QUESTION: 'Q?', CONTEXTS: ['a', 'b'], LONG_ANSWER: 'L', final_decision: 'no' }
  expect(readQuestion(hub)).toEqual(expected)
  expect(readQuestion(file)).toEqual(expected)
})

it('numbers the studies before the question, and the answer cites its own', () => {
  const studies = [
    studyOf({ ...row, id: '7', contexts: ['one', 'two'] }),
    studyOf({ ...row, id: '8', contexts: ['three'] }),
  ]
  const { messages, used } = ask('Q?', studies, { maxTokens: 100 })
  expect(messages[1]!.content).toBe('[1] 7\none\ntwo\n\n[2] 8\nthree\n\nQuestion: Q?')
  expect(used.map(({ number, document }) => [number, document])).toEqual([
    [1, '7'],
    [2, '8'],
  ])
  expect(answerText(row, 2)).toBe('Decision: maybe.\nIt is. So it is [2].')
  expect(withoutCitations(reasonOf(answerText(row, 2)))).toBe(row.longAnswer)
})
