import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { entityF1, readEntities } from './entities'
import { type InstructionRow, makeSplits, SEED, SPLITS } from './rows'

const splits = makeSplits(SEED)
const names = Object.keys(SPLITS) as (keyof typeof SPLITS)[]

it.each(names)('the committed %s file is what the generator writes', (name) => {
  const text = readFileSync(new URL(`../data/${name}.jsonl`, import.meta.url), 'utf8')
  expect(text).toBe(splits[name].map((row) => `${JSON.stringify(row)}\n`).join(''))
  expect(splits[name]).toHaveLength(SPLITS[name])
})

it('no sentence of the test part is trained on', () => {
  const trained = new Set(splits.train.map(({ input }) => input))
  expect(splits.test.filter(({ input }) => trained.has(input))).toEqual([])
})

it('every row is tagged token by token, or listed in two lines', () => {
  for (const { input, output } of [...splits.train, ...splits.test]) {
    const lines = output.split('\n')
    if (output.startsWith('Chemical: ')) expect(output).toMatch(/^Chemical: [^\n]+\nDisease: [^\n]+$/)
    else {
      expect(lines.map((line) => line.replace(/ : (O|[BI]-(Disease|Chemical))$/, ''))).toEqual(input.split(' '))
      lines.forEach((line, i) => {
        if (line.includes(' : I-')) expect(lines[i - 1]).toMatch(/ : [BI]-/)
      })
    }
  }
})

const list: Pick<InstructionRow, 'input' | 'output'> = {
  input: 'aspirin and aspirin for gout .',
  output: 'Chemical: aspirin ; aspirin\nDisease: gout',
}
const tags = { input: 'no heart failure .', output: 'no : O\nheart : B-Disease\nfailure : I-Disease\n. : O' }

it('reads entities out of both kinds of answers', () => {
  expect(readEntities(list, list.output)).toEqual(['Chemical aspirin', 'Chemical aspirin (2)', 'Disease gout'])
  expect(readEntities(list, 'Chemical: none\nDisease: none')).toEqual([])
  expect(readEntities(list, 'I would say gout.')).toEqual([])
  expect(readEntities(tags, tags.output)).toEqual(['Disease 1-2'])
  expect(readEntities(tags, 'heart : B-Disease\nfailure : O')).toEqual(['Disease 1-1'])
})

it('counts an entity only when type and place are right', () => {
  const score = (prediction: string[], reference: string[]) =>
    entityF1.score(entityF1.statistics(prediction.join('\n'), [reference.join('\n')]))
  expect(score(['Disease 1-2'], ['Disease 1-2'])).toBe(1)
  expect(score(['Disease 1-1', 'Disease 3-3'], ['Disease 3-3', 'Chemical 1-1'])).toBe(0.5)
  expect(score([], ['Disease 1-2'])).toBe(0)
  expect(score([], [])).toBe(1)
})
