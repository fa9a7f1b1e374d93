import { readFileSync } from 'node:fs'
import { type ExampleRow, parseExactJson } from '@tunesmith/core'
import { afterAll, describe, expect, it } from 'vitest'
import { Tokenizer } from '../tokenizer'
import { buildExample } from './build'
import { buildExamples } from './build-many'

const fixture = (name: string) => JSON.parse(readFileSync(new URL(`../fixtures/${name}`, import.meta.url), 'utf8'))
const { template, cases } = fixture('row-numbers.golden.json') as {
  template: string
  cases: { row: string; text: string }[]
}
const tokenizer = new Tokenizer({ tokenizerJson: fixture('bytes.tokenizer.json') })
const read = (text: string) => parseExactJson(text) as ExampleRow

// Expected texts are those of transformers; scripts/row-numbers.py writes them.
describe('numbers and keys of a row are printed as Python prints them', () => {
  afterAll(() => tokenizer.close())

  it.each(cases)('$row', ({ row, text }) => {
    expect(buildExample(tokenizer, read(row), { template }).text).toBe(text)
  })

  it('in a thread too, and where the turns are found by marks', async () => {
    const rows = cases.map(({ row }) => read(row))
    const threaded = await buildExamples(tokenizer, rows, { template, threads: 1 })
    const expected = cases.map(({ row }) => buildExample(tokenizer, read(row), { template }).inputIds)
    expect(threaded.map(({ inputIds }) => Array.from(inputIds))).toEqual(expected)
    const masked = buildExample(tokenizer, rows[0]!, { template, lossOn: 'assistant' })
    expect(masked.inputIds).toEqual(expected[0])
  })

  it('of tools given as text', () => {
    const { row, text } = cases[1]!
    const parsed = read(row)
    const tools = row.slice(row.indexOf('[{"10"'), -1)
    expect(buildExample(tokenizer, { ...parsed, tools }, { template }).text).toBe(text)
  })
})
