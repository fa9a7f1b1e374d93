import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Dataset } from '../dataset/dataset'
import { loadDataset } from '../load/load'
import type { Row } from '../rows'
import { toExampleRow } from './convert'
import { detectFormat } from './detect'
import { formatDataset, formatStream } from './format-dataset'

const user = (content: string) => ({ role: 'user', content })
const assistant = (content: string) => ({ role: 'assistant', content })

describe('detectFormat', () => {
  it.each([
    [['messages', 'id'], 'messages'],
    [['conversations'], 'sharegpt'],
    [['prompt', 'completion', 'text'], 'promptCompletion'],
    [['instruction', 'input', 'output', 'text'], 'alpaca'],
    [['instruction', 'response'], 'alpaca'],
    [['QUESTION', 'CONTEXTS', 'LONG_ANSWER', 'final_decision'], 'questionAnswer'],
    [['question', 'answer'], 'questionAnswer'],
    [['text', 'label'], 'text'],
  ])('recognises %j as %s', (columns, name) => {
    expect(detectFormat(columns).name).toBe(name)
  })

  it('shows its choice', () => {
    expect(detectFormat(['id', 'Question', 'Answer', 'source']).explanation).toBe(
      'questionAnswer: prompt from "Question", completion from "Answer"; kept beside, not trained on: id, source',
    )
    expect(detectFormat([{ instruction: 'a' }, { input: 'b', output: 'c' }]).explanation).toBe(
      'alpaca: prompt from "instruction" and "input", completion from "output"',
    )
    const chats = detectFormat(['messages', 'tools', 'id', 'chat_template_kwargs'])
    expect(chats.explanation).toBe(
      'messages: a conversation from "messages"; printed by the chat template: tools, chat_template_kwargs; kept beside, not trained on: id',
    )
    expect(chats).toMatchObject({ printed: ['tools', 'chat_template_kwargs'], beside: ['id'] })
    expect(detectFormat(['text', 'tools']).explanation).toBe(
      'text: text from "text"; kept beside, not trained on: tools',
    )
  })

  it('takes a mapping, and names what is missing', () => {
    const mapped = detectFormat(['q', 'final_decision', 'prompt', 'completion'], {
      columns: { question: 'q', answer: 'final_decision' },
    })
    expect(mapped).toMatchObject({ name: 'questionAnswer', columns: { question: 'q', answer: 'final_decision' } })
    expect(() => detectFormat(['prompt', 'id'], { where: 'x.jsonl:1' })).toThrow(
      /There is "prompt" but no column "completion"; the columns are: "prompt", "id" \(x\.jsonl:1\)\. Rename/,
    )
    expect(() => detectFormat(['a', 'b'])).toThrow(/No known format has these columns: "a", "b"/)
    expect(() => detectFormat(['a'], { columns: { text: 'b' } })).toThrow(/no column "b"/)
  })
})

describe('toExampleRow', () => {
  it.each<[string, Row, Row]>([
    [
      'alpaca',
      { instruction: 'Do', input: 'x', output: 'y', id: 4 },
      { id: 4, prompt: [user('Do\n\nx')], completion: [assistant('y')] },
    ],
    ['alpaca', { instruction: 'Do', input: '', output: 'y' }, { prompt: [user('Do')], completion: [assistant('y')] }],
    [
      'questionAnswer',
      { question: 'Q', context: ['a', 'b'], answer: 'A' },
      { prompt: [user('a\n\nb\n\nQ')], completion: [assistant('A')] },
    ],
    [
      'questionAnswer',
      { question: 'Q', answers: { text: ['A', 'B'], answer_start: [0, 1] } },
      { prompt: [user('Q')], completion: [assistant('A')] },
    ],
    [
      'promptCompletion',
      { prompt: 'p', completion: ' c', text: 'p c' },
      { original_text: 'p c', prompt: 'p', completion: ' c' },
    ],
    [
      'promptCompletion',
      { prompt: [user('p')], completion: [assistant('c')] },
      { prompt: [user('p')], completion: [assistant('c')] },
    ],
    [
      'messages',
      { messages: [user('p'), assistant('c')], tools: [] },
      { tools: [], messages: [user('p'), assistant('c')] },
    ],
    ['text', { text: 't', source: 's' }, { source: 's', text: 't' }],
  ])('converts %s', (format, row, expected) => {
    expect(toExampleRow(row, format as 'text')).toEqual(expected)
  })

  it('converts ShareGPT speakers, with the system message in front', () => {
    const row = {
      system: 'Be brief.',
      conversations: [
        { from: 'human', value: 'hi' },
        { from: 'gpt', value: 'hello', weight: 0 },
        { from: 'observation', value: '42' },
      ],
    }
    expect(toExampleRow(row, 'sharegpt')).toEqual({
      messages: [
        { role: 'system', content: 'Be brief.' },
        user('hi'),
        { ...assistant('hello'), weight: 0 },
        { role: 'tool', content: '42' },
      ],
    })
    expect(() => toExampleRow({ conversations: [{ from: 'alien', value: 'x' }] }, 'sharegpt')).toThrow(/from "alien"/)
  })

  it('writes headings for models without a chat template', () => {
    expect(toExampleRow({ instruction: 'Do', input: 'x', output: 'y' }, 'alpaca', { style: 'plain' })).toEqual({
      prompt: '### Instruction:\nDo\n\n### Input:\nx\n\n### Response:\n',
      completion: 'y',
    })
    expect(toExampleRow({ question: 'Q', context: 'C', answer: 'A' }, 'questionAnswer', { style: 'plain' })).toEqual({
      prompt: 'Context: C\n\nQuestion: Q\nAnswer:',
      completion: ' A',
    })
  })

  it('refuses what cannot be trained on', () => {
    const where = 'x.jsonl:7'
    expect(() => toExampleRow({ text: 5 }, 'text', { where })).toThrow(
      /must be text, not a number \(x\.jsonl:7\).*cast/,
    )
    expect(() => toExampleRow({ messages: [] }, 'messages')).toThrow(/has no messages/)
    expect(() => toExampleRow({ messages: [{ role: 'user' }] }, 'messages')).toThrow(/has no content/)
    expect(() => toExampleRow({ messages: 'hi' }, 'messages')).toThrow(/must be a list of messages, not a string/)
    expect(() => toExampleRow({ prompt: 'a', completion: [] }, 'promptCompletion')).toThrow(/must both be/)
  })
})

describe('formatDataset', () => {
  let folder: string
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'tunesmith-format-'))
  })
  afterAll(() => rm(folder, { recursive: true, force: true }))

  it('stops at the first row that lacks its completion, with file, line and remedy; or skips such rows', async () => {
    const path = join(folder, 'x.jsonl')
    await writeFile(path, '{"prompt":"a","completion":"b"}\n{"prompt":"c"}\n{"prompt":"d","completion":null}\n')
    const dataset = await loadDataset(path)
    expect(() => formatDataset(dataset)).toThrow(
      new RegExp(`The row has no "completion" \\(${path}:2\\)\\. Give every row a "completion"`),
    )
    const { dataset: examples, explanation } = formatDataset(dataset, { onError: 'skip' })
    expect(examples.toArray()).toEqual([{ prompt: 'a', completion: 'b' }])
    expect(examples.skipped.log.map(({ where }) => where)).toEqual([`${path}:2`, `${path}:3`])
    expect(explanation).toMatch(/^promptCompletion/)
  })

  it('formats a stream the same way', async () => {
    const path = join(folder, 'stream.jsonl')
    await writeFile(path, '{"question":"a","answer":"b","id":1}\n{"question":"c"}\n{"question":"d","answer":"e"}\n')
    const source = await loadDataset(path, { streaming: true })
    await expect((await formatStream(source)).stream.collect()).rejects.toMatchObject({ where: `${path}:2` })
    const { stream, explanation } = await formatStream(source, { onError: 'skip' })
    const examples = await stream.collect()
    expect(examples.toArray()).toEqual(formatDataset(await loadDataset(path), { onError: 'skip' }).dataset.toArray())
    expect([examples.where(1), stream.skipped.count, explanation]).toEqual([
      `${path}:3`,
      1,
      'questionAnswer: prompt from "question", completion from "answer"; kept beside, not trained on: id',
    ])
  })

  it('takes a formattingFunc', () => {
    const dataset = Dataset.fromRows([{ a: 'x', b: 'y' }])
    expect(formatDataset(dataset, { formattingFunc: ({ a, b }) => `${a}: ${b}` }).dataset.at(0)).toEqual({
      text: 'x: y',
    })
    const pairs = formatDataset(dataset, { formattingFunc: ({ a, b }) => ({ prompt: a, completion: b, id: 1 }) })
    expect(pairs.dataset.at(0)).toEqual({ id: 1, prompt: 'x', completion: 'y' })
    expect(() => formatDataset(dataset, { formattingFunc: () => 5 as never })).toThrow(/returned number \(row 0\)/)
  })
})
