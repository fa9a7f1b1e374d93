import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { answerText, ask, readQuestion } from './pubmedqa-row'
import { makeSplits, SEED, SPLITS } from './rows'

const splits = makeSplits(SEED)
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

it('puts passages before the question, and the decision before the reason', () => {
  expect(ask('Q?', ['one', 'two'])[1]!.content).toBe('one\ntwo\n\nQuestion: Q?')
  expect(ask('Q?', [])[1]!.content).toBe('Question: Q?')
  expect(answerText({ decision: 'maybe', longAnswer: 'L.' })).toBe('Decision: maybe.\nL.')
})
