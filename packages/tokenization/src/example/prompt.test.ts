import { readFileSync } from 'node:fs'
import { type ExampleRow, TunesmithError } from '@tunesmith/core'
import { describe, expect, test } from 'vitest'
import { sharedFolder } from '../testing/shared'
import { Tokenizer } from '../tokenizer'
import { buildExample } from './build'
import { buildExamples } from './build-many'
import { buildPrompt } from './prompt'

/** Prints everything a row may bring. */
const TEMPLATE = `{% for t in tools or [] %}[tool {{ t.function.name }}]{% endfor %}{% for d in documents or [] %}[{{ d.title }}: {{ d.text }}]{% endfor %}{% if mood %}[mood {{ mood }}]{% endif %}{% for m in messages %}<|{{ m.role }}|>{% if m.content is string %}{{ m.content }}{% else %}{% for p in m.content %}{{ p.text }}{% endfor %}{% endif %}{{ eos_token if m.role == 'assistant' }}
{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}`

const user = { role: 'user', content: 'Where does the river go?' }
const assistant = { role: 'assistant', content: 'To the lake, past the old mill.' }
const system = { role: 'system', content: 'Answer in one sentence.' }
const turns = [user, assistant, { role: 'user', content: 'And then?' }]
const parts = {
  role: 'user',
  content: [
    { type: 'text', text: 'Where ' },
    { type: 'text', text: 'to?' },
  ],
}
const answer = { role: 'assistant', content: 'Into the sea.' }
const beside = {
  tools: [{ type: 'function', function: { name: 'find_river', description: 'finds', parameters: {} } }],
  documents: [{ title: 'Map', text: 'The river reaches the sea.' }],
  chat_template_kwargs: { mood: 'calm' },
}

/** Every kind of row; those without `template` are printed by the tokenizer's own template where it has one. */
const ROWS: Record<string, { row: ExampleRow; reference: string; template?: string }> = {
  'prompt and completion as text': { row: { prompt: 'The river runs', completion: ' past' }, reference: ' past' },
  'a prompt that ends in the middle of a word': {
    row: { prompt: 'The riv', completion: 'er runs' },
    reference: 'er runs',
  },
  'a conversational prompt': { row: { prompt: turns, completion: [answer] }, reference: 'Into the sea.' },
  messages: { row: { messages: [user, assistant] }, reference: assistant.content },
  'several turns': { row: { messages: [...turns, answer] }, reference: answer.content },
  'a system message': { row: { messages: [system, ...turns, answer] }, reference: answer.content, template: TEMPLATE },
  'content parts': { row: { messages: [parts, answer] }, reference: answer.content, template: TEMPLATE },
  'tools, documents and variables': {
    row: { messages: [user, answer], ...beside },
    reference: answer.content,
    template: TEMPLATE,
  },
  'tools as JSON text': {
    row: { prompt: [user], completion: [answer], ...beside, tools: JSON.stringify(beside.tools) },
    reference: answer.content,
    template: TEMPLATE,
  },
}

/** The prompt is what precedes the first token that is learned of the last answer. */
function check(tokenizer: Tokenizer, { row, reference, template }: (typeof ROWS)[string]) {
  const chosen = template ?? (tokenizer.chatTemplate ? undefined : 'chatml')
  const options = chosen === undefined ? {} : { template: chosen }
  const prompt = buildPrompt(tokenizer, row, options)!
  const lossOn = row.messages ? ('last-assistant' as const) : undefined
  const { inputIds, labels } = buildExample(tokenizer, row, { ...options, ...(lossOn && { lossOn }) })
  const begins = labels.findIndex((label) => label !== -100)
  expect(prompt.ids).toEqual(inputIds.slice(0, begins))
  expect(prompt.reference).toBe(reference)
  return tokenizer.decode(prompt.ids)
}

const fixture = (name: string) =>
  new Tokenizer({
    tokenizerJson: JSON.parse(readFileSync(new URL(`../fixtures/${name}.tokenizer.json`, import.meta.url), 'utf8')),
    config: { bos_token: '<s>', eos_token: '</s>' },
  })

describe('the prompt a model is asked is the beginning of the example it was trained on', () => {
  for (const name of ['bytes', 'chars'])
    test.each(Object.entries(ROWS))(`${name}: %s`, (_, row) => {
      check(fixture(name), row)
    })

  test('what a row brings besides its messages is asked too', () => {
    const text = check(fixture('bytes'), ROWS['tools, documents and variables']!)
    expect(text).toContain('[tool find_river][Map: The river reaches the sea.][mood calm]')
    expect(check(fixture('bytes'), ROWS['content parts']!)).toContain('<|user|>Where to?')
  })

  test('rows with nothing to ask have no prompt', () => {
    const tokenizer = fixture('bytes')
    for (const row of [{ text: 'The river' }, { messages: [user] }, { messages: [answer] }, { prompt: 'only this' }])
      expect(buildPrompt(tokenizer, row)).toBeUndefined()
  })

  for (const name of [
    'gpt2',
    'llama-3.1-8b-instruct',
    'qwen2.5-instruct',
    'starling-lm-7b-alpha',
    'tinyllama-1.1b-chat',
  ]) {
    const folder = sharedFolder('tokenizers', name)
    test.skipIf(!folder)(`${name}: every kind of row`, async () => {
      const tokenizer = await Tokenizer.fromPretrained(folder as string)
      for (const row of Object.values(ROWS)) check(tokenizer, row)
    })
  }
})

describe('buildExamples', () => {
  const rows = Array.from({ length: 300 }, (_, i): ExampleRow => {
    const { row } = Object.values(ROWS)[i % 2]!
    return { ...row, completion: `${row.completion as string} ${'and on '.repeat(i % 17)}`, id: i, unread: () => i }
  })
  const plain = (examples: { inputIds: ArrayLike<number>; labels: ArrayLike<number> }[]) =>
    examples.map(({ inputIds, labels }) => [Array.from(inputIds), Array.from(labels)])
  const tokenizer = fixture('bytes')

  test('gives what buildExample gives, here and in threads', async () => {
    const expected = plain(rows.map((row) => buildExample(tokenizer, row)))
    expect(plain(await buildExamples(tokenizer, rows, { threads: 0 }))).toEqual(expected)
    expect(plain(await buildExamples(tokenizer, rows, { threads: 2 }))).toEqual(expected)
    const chat = { messages: [user, assistant] }
    const [example] = await buildExamples(tokenizer, [chat], { threads: 1, lossOn: 'assistant', template: 'chatml' })
    const { inputIds, labels } = buildExample(tokenizer, chat, { lossOn: 'assistant', template: 'chatml' })
    expect(plain([example!])).toEqual([[inputIds, labels]])
  })

  test('threads know a template and tokens that were set later', async () => {
    const own = fixture('bytes')
    const chat = { messages: [user, answer] }
    own.chatTemplate = TEMPLATE
    expect(plain(await buildExamples(own, [chat], { threads: 1 }))).toEqual(plain([buildExample(own, chat)]))
    own.addTokens([{ content: '<|user|>', special: true }])
    own.chatTemplate = TEMPLATE.replace('</s>', '')
    expect(plain(await buildExamples(own, [chat], { threads: 1 }))).toEqual(plain([buildExample(own, chat)]))
    await own.close()
  })

  test('names the first row that fails, with the same error here and in threads', async () => {
    const broken = rows.map((row, i) => (i === 205 || i === 290 ? { prompt: 'only a prompt' } : row))
    const errors = await Promise.all(
      [0, 2].map((threads) => buildExamples(tokenizer, broken, { threads }).catch((error: Error) => error)),
    )
    for (const error of errors)
      expect(error).toMatchObject({
        code: 'invalid_data',
        where: 'row 205, completion',
        message: 'A row with a text "prompt" needs a text "completion" (row 205, completion)',
      })
    const where = (index: number) => `rows.jsonl:${index + 1}`
    await expect(buildExamples(tokenizer, broken, { threads: 1, where })).rejects.toThrow('rows.jsonl:206, completion')
  })

  test('names a row that is no row, and one that cannot be sent to a thread', async () => {
    const wrong: [unknown, RegExp][] = [
      [null, /A row must be an object of columns \(row 205, null\)/],
      [undefined, /\(row 205, undefined\)/],
      ['text', /\(row 205, text\)/],
      [{ ...ROWS.messages!.row, chat_template_kwargs: { mood: () => 'calm' } }, /a function cannot .*\(row 205, /],
    ]
    for (const [row, message] of wrong)
      for (const threads of [0, 2]) {
        const broken = rows.with(205, row as ExampleRow)
        const error = await buildExamples(tokenizer, broken, { threads, template: TEMPLATE }).catch(
          (error: Error) => error,
        )
        expect(error).toBeInstanceOf(TunesmithError)
        expect((error as Error).message).toMatch(message)
      }
    // Columns that nothing is made of stay here.
    const [example] = await buildExamples(tokenizer, [{ text: 'The river', unread: () => 1 }], { threads: 1 })
    expect(plain([example!])).toEqual(plain([buildExample(tokenizer, { text: 'The river' })]))
  })

  test('stops when aborted', async () => {
    for (const threads of [0, 2]) {
      const controller = new AbortController()
      const many = Array.from({ length: 20 }, () => rows).flat()
      const running = buildExamples(tokenizer, many, { threads, signal: controller.signal })
      setTimeout(() => controller.abort('enough'), 10)
      await expect(running).rejects.toMatchObject({ code: 'aborted', cause: 'enough' })
    }
    await tokenizer.close()
  })
})
