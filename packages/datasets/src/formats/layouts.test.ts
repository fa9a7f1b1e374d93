import { stringifyJson } from '@tunesmith/core'
import { describe, expect, it } from 'vitest'
import { Dataset } from '../dataset/dataset'
import type { Row } from '../rows'
import { type FormatOptions, formatDataset } from './format-dataset'

const example = (row: Row, options: FormatOptions = {}) => formatDataset(Dataset.fromRows([row]), options).dataset.at(0)
const user = (content: string) => ({ role: 'user', content })
const assistant = (content: string) => ({ role: 'assistant', content })

describe('layouts of known data sets', () => {
  it('dolly: the context is part of the prompt', () => {
    const row = { instruction: 'When was it built?', context: 'Built in 1931.', response: 'In 1931.' }
    expect(example(row)).toEqual({
      prompt: [user('When was it built?\n\nBuilt in 1931.')],
      completion: [assistant('In 1931.')],
    })
  })

  it.each([
    ['instruction', 'output'],
    ['query', 'response'],
  ])('earlier turns beside %s and %s', (asked, answered) => {
    const row = { [asked]: 'And its capital?', [answered]: 'Bern.', history: [['An alpine country?', 'Switzerland.']] }
    expect(example(row)).toEqual({
      prompt: [user('An alpine country?'), assistant('Switzerland.'), user('And its capital?')],
      completion: [assistant('Bern.')],
    })
    expect(example(row, { style: 'plain' }).prompt).toMatch(
      /An alpine country\?\S*\s[\s\S]*Switzerland\.\s[\s\S]*And its capital\?/,
    )
    expect(() => example({ ...row, history: ['x'] })).toThrow(/"history" must be a list of pairs/)
  })

  it('preferences: one side when told, else refused', () => {
    const sharegpt = {
      conversations: [{ from: 'human', value: 'Name a river.' }],
      chosen: { from: 'gpt', value: 'The Aare.' },
      rejected: { from: 'gpt', value: 'No.' },
    }
    const right = { prompt: [user('Name a river.')], completion: [assistant('The Aare.')] }
    expect(() => example(sharegpt)).toThrow(/are preferences: "chosen" and "rejected".*preference: 'chosen'/)
    expect(example(sharegpt, { preference: 'chosen' })).toMatchObject(right)
    expect(example(sharegpt, { preference: 'rejected' })).toMatchObject({ completion: [assistant('No.')] })
    const texts = { prompt: 'Name a river.', chosen: 'The Aare.', rejected: 'No.' }
    expect(example(texts, { preference: 'chosen' })).toMatchObject(right)
    const both = { ...texts, chosen: [user('Name a river.'), assistant('The Aare.')] }
    expect(example(both, { preference: 'chosen' }).messages).toEqual(both.chosen)
    expect(() => example({ ...texts, chosen: [user('x')] }, { preference: 'chosen' })).toThrow(/no answer to learn/)
  })

  it('trees of messages are refused', () => {
    expect(() => example({ message_id: '1', text: 'What is tin?', role: 'prompter' })).toThrow(/messages of trees/)
  })

  it('content parts stay when they are text, for the chat template, and are refused when not', () => {
    const parts = [
      { type: 'text', text: 'Hi ' },
      { type: 'text', value: 'there' },
    ]
    const messages = [{ role: 'user', content: parts }, assistant('Hello')]
    const texts = ['Hi ', 'there'].map((text) => ({ type: 'text', text }))
    expect(example({ messages }).messages).toEqual([{ role: 'user', content: texts }, assistant('Hello')])
    const parted = [user('Hi'), { role: 'assistant', content: texts }]
    expect(example({ messages: parted }).messages).toEqual(parted)
    const empty = [user('Hi'), { role: 'assistant', content: [{ type: 'text', text: ' ' }] }]
    expect(() => example({ messages: empty })).toThrow(/no answer to learn/)
    messages[0]!.content = [{ type: 'image', text: '' }] as never
    expect(() => example({ messages })).toThrow(/content of type "image"/)
    const pictured = { images: ['a.png'], messages: [user('<image> What is it?'), assistant('Tin.')] }
    expect(() => example(pictured)).toThrow(/<image> and its "images"/)
    expect(example({ ...pictured, images: null })).toMatchObject({ messages: pictured.messages })
  })

  it('answers that are not to be learnt are refused', () => {
    const row = { prompt: 'Name a metal.', completion: 'Wood.', label: false }
    expect(() => example(row)).toThrow(/"label" is false, as in KTO/)
    for (const label of ['False', 'false']) expect(() => example({ ...row, label })).toThrow(/"label" is "[Ff]alse"/)
    expect(() => example({ conversations: [user('Hi'), assistant('No.')], kto_tag: 'False' })).toThrow(/"kto_tag"/)
    expect(example({ ...row, label: 'True' }).completion).toBe('Wood.')
    expect(example({ ...row, label: true }).completion).toBe('Wood.')
    const { skipped } = formatDataset(Dataset.fromRows([row, { ...row, label: true }]), { onError: 'skip' }).dataset
    expect(skipped.count).toBe(1)
  })

  it('a column with the system message is used in every layout of conversations, and said', () => {
    const system = { role: 'system', content: 'Be brief.' }
    for (const name of ['system', 'system_prompt']) {
      const given = { id: 'x', [name]: 'Be brief.' }
      const asked = { prompt: [system, user('Hi')], completion: [assistant('Yo')] }
      expect(example({ ...given, question: 'Hi', response: 'Yo' })).toMatchObject(asked)
      expect(example({ ...given, instruction: 'Hi', output: 'Yo' })).toMatchObject(asked)
      expect(example({ ...given, messages: [user('Hi'), assistant('Yo')] })).toMatchObject({
        messages: [system, user('Hi'), assistant('Yo')],
      })
      const own = [{ role: 'system', content: 'Be long.' }, user('Hi'), assistant('Yo')]
      expect(example({ ...given, messages: own })).toMatchObject({ messages: own })
    }
    const row = { system_prompt: 'Be brief.', question: 'Hi', response: 'Yo' }
    expect(formatDataset(Dataset.fromRows([row])).explanation).toBe(
      'questionAnswer: prompt from "question", completion from "response"; system message from "system_prompt"',
    )
  })

  it('no example is without an answer', () => {
    for (const row of [
      { messages: [user('Hi')] },
      { messages: [user('Hi'), assistant('  ')] },
      { conversations: [{ from: 'human', value: 'Hi' }] },
      { prompt: 'a', completion: '' },
      { prompt: [user('a')], completion: [user('b')] },
      { instruction: 'a', output: '\n' },
      { question: 'a', answers: { text: [''] } },
      { text: ' ' },
    ])
      expect(() => example(row)).toThrow(/answer to learn/)
  })

  it('calls of functions become tool calls, their arguments with their text', () => {
    const call = '{"name":"price","arguments":{"10":1.0,"9":20.0}}'
    const called = [{ type: 'function', function: { name: 'price', arguments: { 10: 1, 9: 20 } } }]
    const conversations = [
      { from: 'human', value: 'How much?' },
      { from: 'function_call', value: call },
      { from: 'observation', value: '20.0' },
      { from: 'gpt', value: 'Twenty.' },
    ]
    const turns = [
      user('How much?'),
      { role: 'assistant', content: null, tool_calls: called },
      { role: 'tool', content: '20.0' },
      assistant('Twenty.'),
    ]
    const { messages } = example({ conversations, tools: '[]' }) as { messages: Row[] }
    expect(messages).toEqual(turns)
    expect(stringifyJson(messages[1]!.tool_calls)).toContain('"arguments":{"10":1.0,"9":20.0}')
    expect(() => example({ conversations: [{ from: 'function_call', value: 'price()' }] })).toThrow(
      /not JSON of the form/,
    )

    const legacy = {
      role: 'assistant',
      content: null,
      function_call: { name: 'price', arguments: '{"10":1.0,"9":20.0}' },
    }
    const result = { role: 'function', name: 'price', content: '20.0' }
    expect(example({ messages: [user('How much?'), legacy, result] }).messages).toEqual([
      ...turns.slice(0, 2),
      { role: 'tool', name: 'price', content: '20.0' },
    ])
    const modern = { role: 'assistant', content: null, tool_calls: [{ id: 'a', ...legacy.function_call }] }
    expect(example({ messages: [user('How much?'), modern] }).messages![1]!.tool_calls).toMatchObject([
      { function: { arguments: { 9: 20 } } },
    ])
  })

  it('says which columns the template gets, and which hold text that is not used', () => {
    const row = { messages: [user('a'), assistant('b')], tools: '[]', id: 'x1', note: 'seen twice' }
    const { explanation, unusedText } = formatDataset(Dataset.fromRows([row, row, { ...row, note: null }]))
    expect(explanation).toBe(
      'messages: a conversation from "messages"; printed by the chat template: tools; kept beside, not trained on: id, note\n' +
        'WARNING: NOT USED, though most rows have text there: "note"',
    )
    expect(unusedText).toEqual(['note'])
    expect(formatDataset(Dataset.fromRows([row, { ...row, note: null }])).unusedText).toEqual([])
  })
})
