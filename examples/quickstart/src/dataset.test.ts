import { readFileSync } from 'node:fs'
import { Tokenizer } from '@huggingface/tokenizers'
import { describe, expect, test } from 'vitest'
import { makeSplits, type Row, SEED, SPLITS, type SplitName, toJsonLines } from './rows'

const splits = makeSplits(SEED)
const names = Object.keys(SPLITS) as SplitName[]
const all = names.flatMap((name) => splits[name])
const asked = (row: Row) => row.prompt[0].content
const answered = (row: Row) => row.completion[0].content
const read = (path: string) => readFileSync(new URL(path, import.meta.url), 'utf8')

test.each(names)('the committed %s file is what the generator writes', (name) => {
  expect(read(`../data/${name}.jsonl`)).toBe(toJsonLines(splits[name]))
})

test('another seed gives other rows', () => {
  expect(toJsonLines(makeSplits(SEED + 1).test)).not.toBe(toJsonLines(splits.test))
})

test('no patient, no name and no prompt occurs twice, in one split or in two', () => {
  expect(new Set(all.map(({ patient }) => patient)).size).toBe(all.length)
  expect(new Set(all.map(({ id }) => id)).size).toBe(all.length)
  expect(new Set(all.map(asked)).size).toBe(all.length)
  const people = all.filter(({ task }) => task === 'summary').map((row) => /^Patient: ([^,]+),/.exec(answered(row))![1])
  expect(new Set(people).size).toBe(people.length)
})

test('every split holds what it promises', () => {
  for (const name of names) {
    const count = (task: Row['task']) => splits[name].filter((row) => row.task === task).length
    expect({ summaries: count('summary'), questions: count('question') }).toEqual(SPLITS[name])
  }
})

test('every row has the same columns and layout', () => {
  const layout = {
    summary:
      /^Patient: .+, \d+, (female|male)\nProblems: .+\nReason: .+\nMedicines: .+\nAllergies: .+\nResults: .+\nPlan: .+$/,
    question: /^Answer: .+\.\nGood to know: .+\.\nNext step: .+\.$/,
  }
  for (const row of all) {
    expect(Object.keys(row)).toEqual(['id', 'patient', 'task', 'prompt', 'completion'])
    expect(answered(row)).toMatch(layout[row.task])
    expect([row.prompt[0].role, row.completion[0].role]).toEqual(['user', 'assistant'])
    expect(row.prompt.length + row.completion.length).toBe(2)
  }
})

describe('a summary says only what its record says', () => {
  const summaries = all.filter(({ task }) => task === 'summary')
  const line = (row: Row, label: string) => new RegExp(`^${label}: (.*)$`, 'm').exec(answered(row))![1]!
  const named = (row: Row, value: string) => asked(row).toLowerCase().includes(value.toLowerCase())

  test.each(['Problems', 'Medicines'])('%s', (label) => {
    for (const row of summaries)
      for (const item of line(row, label).split('; '))
        if (item !== 'not recorded' && item !== 'none') {
          const name = item.split(/ (?=\d)/)[0]!
          expect(named(row, name), `${row.id}: ${name}`).toBe(true)
        }
  })

  test('values of tests', () => {
    for (const row of summaries)
      for (const [, value] of line(row, 'Results').matchAll(/ ([\d.]+)[^;]*\((?:low|normal|high)\)/g))
        expect(named(row, value!), `${row.id}: ${value}`).toBe(true)
  })

  test('the person', () => {
    for (const row of summaries) {
      const [name, age] = line(row, 'Patient').split(', ') as [string, string]
      expect(named(row, name) && named(row, age), `${row.id}: ${name}, ${age}`).toBe(true)
    }
  })
})

test('the training rows are varied', () => {
  const summaries = splits.train.filter(({ task }) => task === 'summary').map(answered)
  const items = (label: string) =>
    new Set(summaries.flatMap((text) => new RegExp(`^${label}: (.*)$`, 'm').exec(text)![1]!.split('; ')))
  expect(new Set(summaries).size).toBe(SPLITS.train.summaries)
  expect(items('Problems').size).toBeGreaterThanOrEqual(45)
  expect(new Set([...items('Medicines')].map((item) => item.replace(/ \d.*/, ''))).size).toBeGreaterThanOrEqual(60)
  expect(new Set(splits.train.map((row) => asked(row).slice(0, 80))).size).toBeGreaterThan(1400)
})

test("with the model's tokenizer every row fits in 320 tokens", () => {
  const model = '../../pretrain-tiny-medic/model'
  const tokenizer = new Tokenizer(
    JSON.parse(read(`${model}/tokenizer.json`)),
    JSON.parse(read(`${model}/tokenizer_config.json`)),
  )
  const lengths = all.map(
    (row) => tokenizer.encode(asked(row)).ids.length + tokenizer.encode(answered(row)).ids.length + 8,
  )
  expect(Math.max(...lengths)).toBeLessThanOrEqual(320)
})
