import { readFileSync } from 'node:fs'
import { type ExampleRow, IGNORE_INDEX, type Message } from '@tunesmith/core'
import { describe, expect, test } from 'vitest'
import { chatTemplates } from '../chat/templates'
import { Tokenizer } from '../tokenizer'
import { buildExample } from './build'
import type { ExampleOptions } from './options'

const load = (name: string) =>
  new Tokenizer({
    tokenizerJson: JSON.parse(readFileSync(new URL(`../fixtures/${name}.tokenizer.json`, import.meta.url), 'utf8')),
    config: { bos_token: '<s>', eos_token: '</s>' },
  })
const tokenizer = load('bytes')
const untagged = chatTemplates.chatml.replaceAll(/\{%-? (end)?generation %\}/g, '')

const conversation = (
  first: Partial<Message>,
  second: Partial<Message> = {},
  user: Partial<Message> = {},
): Message[] => [
  { role: 'system', content: 'Short.' },
  { role: 'user', content: 'Bread?', ...user },
  { role: 'assistant', content: 'Yes.', ...first },
  { role: 'user', content: 'Soup?' },
  { role: 'assistant', content: 'No.', ...second },
]
const learned = (row: ExampleRow, options: ExampleOptions = {}, model = tokenizer) => {
  const { inputIds, labels } = buildExample(model, row, { template: 'chatml', ...options })
  for (const [i, label] of labels.entries()) if (label !== IGNORE_INDEX) expect(label).toBe(inputIds[i])
  return model.decode(labels.filter((label) => label !== IGNORE_INDEX))
}
const NOT_LEARNED: Partial<Message>[] = [
  { weight: 0 },
  { weight: 0n },
  { weight: false },
  { train: false },
  { training: false },
  { loss_mask: 0 },
  { loss: false },
  { weight: 0, train: null },
]
const LEARNED: Partial<Message>[] = [
  { weight: 1 },
  { train: true },
  { loss_mask: 1n },
  { loss: 2.31 },
  { weight: null },
]

const titled = (fields: Partial<Message>[]) =>
  fields.map((field) => [Object.entries(field).join().replaceAll(',', ' '), field] as const)

describe.each([
  ['with generation tags', 'chatml'],
  ['derived', untagged],
])('whether a turn is learned, %s', (_, template) => {
  test.each(titled(NOT_LEARNED))('%s takes it out of what the policy trains', (_, field) => {
    const messages = conversation(field)
    expect(learned({ messages }, { template, lossOn: 'assistant' })).toBe('No.<|im_end|>')
    expect(learned({ messages }, { template, lossOn: 'last-assistant' })).toBe('No.<|im_end|>')
    const all = learned({ messages }, { template })
    expect(all).toBe(tokenizer.applyChatTemplate(messages, { template }).replace('Yes.<|im_end|>', ''))
    expect(learned({ messages }, { template, lossOn: 'completion' })).toBe(all)
    const split = { prompt: messages.slice(0, 2), completion: messages.slice(2) }
    expect(learned(split, { template })).toBe(
      '\n<|im_start|>user\nSoup?<|im_end|>\n<|im_start|>assistant\nNo.<|im_end|>\n',
    )
    expect(learned(split, { template, lossOn: 'assistant' })).toBe('No.<|im_end|>')
  })

  test.each(titled(LEARNED))('%s changes nothing', (_, field) => {
    const messages = conversation(field, { train: true })
    for (const lossOn of ['assistant', 'last-assistant', 'all', undefined] as const) {
      const options = { template, ...(lossOn && { lossOn }) }
      expect(learned({ messages }, options)).toBe(learned({ messages: conversation({}) }, options))
    }
  })

  test('all turns of the assistant, or the last one, left out', () => {
    for (const lossOn of ['assistant', 'last-assistant'] as const)
      expect(() => learned({ messages: conversation({ weight: 0 }, { weight: 0 }) }, { template, lossOn })).toThrow(
        /no token the assistant wrote that is to be learned/,
      )
    expect(() =>
      learned({ messages: conversation({}, { weight: 0 }) }, { template, lossOn: 'last-assistant' }),
    ).toThrow(/no token the assistant wrote that is to be learned/)
  })

  test("another's message with train: true is learned with its end, as axolotl does it", () => {
    const messages = conversation({ train: false }, {}, { train: true })
    expect(learned({ messages }, { template, lossOn: 'assistant' })).toBe('Bread?<|im_end|>No.<|im_end|>')
    expect(() => learned({ messages }, { template, lossOn: 'last-assistant' })).toThrow(/messages\[1\]/)
    const without = conversation({}, {}, { train: false })
    expect(learned({ messages: without }, { template })).toBe(
      tokenizer.applyChatTemplate(without, { template }).replace('Bread?<|im_end|>', ''),
    )
  })
})

describe('what cannot be meant', () => {
  test.each([
    [{ weight: 0.5 }, /"weight" is 0.5, not 0, 1, true or false \(messages\[2\]\.weight\)/],
    [{ train: 'false' }, /"train" is "false", not 0, 1, true or false/],
    [{ train: 'no' }, /"train" is "no"/],
    [{ loss_mask: [0, 1] }, /"loss_mask" is 0,1/],
    [{ weight: 0, train: true }, /another field the opposite/],
    [{ train_detail: [{ begin_offset: 0, end_offset: 2, train: false }] }, /Parts of a message .*train_detail/],
    [{ content: [{ type: 'text', text: 'Yes.', train: false }] }, /Parts of a message .*content\[0\]\.train/],
  ] as [Partial<Message>, RegExp][])('%j is refused by name', (field, message) => {
    for (const lossOn of ['assistant', 'last-assistant', 'all'] as const)
      expect(() => learned({ messages: conversation(field) }, { lossOn })).toThrow(message)
  })

  test('a weight of 1 on the message of another role', () => {
    const messages = conversation({}, {}, { weight: 1 })
    expect(() => learned({ messages }, { lossOn: 'assistant' })).toThrow(/messages\[1\]\.weight/)
    expect(learned({ messages: conversation({}, {}, { weight: 0 }) }, { lossOn: 'assistant' })).toBe(
      'Yes.<|im_end|>No.<|im_end|>',
    )
  })
})

test('a turn whose mask cannot be derived may be left out', () => {
  const template =
    "{% for m in messages %}{% if m.role == 'user' %}[{{ m.content }}]{% elif m.role == 'assistant' %}<a>{{ m.call }}{% if loop.nextitem is defined and loop.nextitem.role == 'tool' %}({{ loop.nextitem.content }}){% endif %}{{ m.content }}</s>{% endif %}{% endfor %}{{ '<a>' if add_generation_prompt }}"
  const messages: Message[] = [
    { role: 'user', content: 'Bread?' },
    { role: 'assistant', call: 'look()', content: 'I look.' },
    { role: 'tool', content: 'two loaves' },
    { role: 'assistant', content: 'Yes.' },
  ]
  expect(() => learned({ messages }, { template, lossOn: 'assistant' })).toThrow(
    /cannot be told .* around another turn.*messages\[1\]/,
  )
  messages[1]!.train = false
  expect(learned({ messages }, { template, lossOn: 'assistant' })).toBe('Yes.</s>')
})

test('a merge over the end of the prompt does not shift what is left out', () => {
  // The template ends the prompt in the middle of a word.
  const template =
    "{% for m in messages %}{{ 'the riv' if m.role == 'user' else '' }}{{ m.content }}{{ eos_token if m.role == 'assistant' }}{% endfor %}"
  const row = {
    prompt: [{ role: 'user', content: '' }],
    completion: [
      { role: 'assistant', content: 'er runs past', weight: 0 },
      { role: 'assistant', content: 'the old mill' },
    ],
  }
  expect(buildExample(tokenizer, row, { template }).boundary).toBe('split')
  expect(learned(row, { template })).toBe('the old mill</s>')
})
