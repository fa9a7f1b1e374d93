import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { lengthTable } from './length-table'
import { readNote, sharedSections, toExample } from './note-format'
import { makeSplits, SECTIONS, SEED, SPLITS } from './rows'
import { chooseJudge, RULE_JUDGE, ruleVerdict } from './rule-judge'

const splits = makeSplits(SEED)
const names = Object.keys(SPLITS) as (keyof typeof SPLITS)[]

it.each(names)('the committed %s file is what the generator writes', (name) => {
  const text = readFileSync(new URL(`../data/${name}.jsonl`, import.meta.url), 'utf8')
  expect(text).toBe(splits[name].map((row) => `${JSON.stringify(row)}\n`).join(''))
  expect(splits[name]).toHaveLength(SPLITS[name])
})

it('says in each summary only what its note says, under six headings', () => {
  for (const { prompt, completion } of [...splits.train, ...splits.test]) {
    const lines = completion.split('\n')
    expect(lines.map((line) => line.split(':')[0])).toEqual([...SECTIONS])
    for (const name of lines[2]!.replace('History: ', '').split('; ')) expect(prompt).toContain(name)
    expect(prompt).toContain(/^Patient: ([^,]+)/.exec(completion)![1]!.split(' ').at(-1))
  }
})

it('leaves the id behind', () => {
  const [note] = splits.train
  const example = toExample(note!)
  expect(Object.keys(example)).toEqual(['prompt', 'completion'])
  expect(JSON.stringify(example)).not.toContain(note!.id)
  expect(readNote({ idx: '7', note: 'N', summary: 'S' })).toEqual({ id: '7', prompt: 'N', completion: 'S' })
  expect(readNote({ id: '8', CONTEXTS: ['a', 'b'], LONG_ANSWER: 'L' })).toEqual({
    id: '8',
    prompt: 'a\nb',
    completion: 'L',
  })
})

it('finds the headings that summaries share, in order', () => {
  expect(sharedSections(splits.train.map(({ completion }) => completion))).toEqual([...SECTIONS])
  expect(sharedSections(['Free text.', 'Plan: rest'])).toEqual([])
})

const question = (a: string, b: string) =>
  `Task\n=====\nx\n=====\n\nA correct answer, for orientation\n=====\nthe fever is gone\n=====\n\nAnswer A\n=====\n${a}\n=====\n\nAnswer B\n=====\n${b}\n=====`

it('judges by its rule, in words and over HTTP', async () => {
  expect(ruleVerdict(question('the fever is gone', 'cold'))).toMatch(/Verdict: A$/)
  expect(ruleVerdict(question('cold', 'fever gone'))).toMatch(/Verdict: B$/)
  expect(ruleVerdict(question('same', 'same'))).toMatch(/Verdict: tie$/)
  const { endpoint, model, stop } = await chooseJudge({})
  expect(model).toBe(RULE_JUDGE)
  expect(model).toContain('ROUGE-L')
  const messages = [{ role: 'user', content: question('the fever', 'cold') }]
  const response = await fetch(`${endpoint}/chat/completions`, { method: 'POST', body: JSON.stringify({ messages }) })
  const { choices } = (await response.json()) as { choices: { message: { content: string } }[] }
  expect(choices[0]!.message.content).toMatch(/Verdict: A$/)
  await stop()
  const real = { TUNESMITH_JUDGE_URL: 'http://judge/v1', TUNESMITH_JUDGE_MODEL: 'm', TUNESMITH_JUDGE_KEY: 'k' }
  expect(await chooseJudge(real)).toMatchObject({ endpoint: 'http://judge/v1', model: 'm', apiKey: 'k' })
})

it('counts rows by length around the limit', () => {
  const example = (length: number) => ({ inputIds: new Array<number>(length).fill(1), labels: [] })
  const table = lengthTable([example(10), example(100), example(101), example(500)], 100)
  expect(table.filter(([, rows]) => rows !== '0')).toEqual([
    ['1 to 25', '1', '25.0%', 'kept'],
    ['76 to 100', '1', '25.0%', 'kept'],
    ['101 to 150', '1', '25.0%', 'dropped'],
    ['more than 200', '1', '25.0%', 'dropped'],
  ])
})
