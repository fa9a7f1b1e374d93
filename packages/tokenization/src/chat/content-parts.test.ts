import { readFileSync } from 'node:fs'
import type { Message } from '@tunesmith/core'
import { describe, expect, test } from 'vitest'
import { buildExample } from '../example/build'
import { promptIds } from '../example/prompt'
import { Tokenizer } from '../tokenizer'

const fixture = (name: string) => JSON.parse(readFileSync(new URL(`../fixtures/${name}`, import.meta.url), 'utf8'))
type Prints = Record<string, string | null>
const golden = fixture('content-parts.golden.json') as {
  rows: Record<string, Message[]>
  templates: Record<string, { template: string; takes: string[]; 'as they are': Prints; fitted: Prints }>
}
const tokenizer = new Tokenizer({
  tokenizerJson: fixture('bytes.tokenizer.json'),
  config: { bos_token: '<s>', eos_token: '</s>' },
})

describe.each(Object.entries(golden.templates))('lists of content parts: %s', (_, entry) => {
  const { template, takes, 'as they are': asTheyAre, fitted } = entry
  test.each(Object.entries(golden.rows))('%s', (title, messages) => {
    if (fitted[title] === null) {
      // It holds a text, and this template takes none, whoever renders it.
      expect(messages.some(({ content }) => typeof content === 'string')).toBe(true)
      expect(() => buildExample(tokenizer, { messages }, { template })).toThrow(
        expect.objectContaining({ code: 'invalid_data' }),
      )
      return
    }
    const example = buildExample(tokenizer, { messages }, { template })
    expect(example.text).toBe(fitted[title])
    if (takes.length === 4) expect(example.text).toBe(asTheyAre[title])
    const split = { prompt: messages.slice(0, -1), completion: messages.slice(-1) }
    expect(buildExample(tokenizer, split, { template }).text).toBe(fitted[title])
    const asked = promptIds(tokenizer, split.prompt, {}, { template })
    expect(example.inputIds.slice(0, asked.length)).toEqual(asked)
  })

  test('a rendered chat is what transformers prints', () => {
    for (const [title, messages] of Object.entries(golden.rows)) {
      const expected = asTheyAre[title]
      if (expected !== null) expect(tokenizer.applyChatTemplate(messages, { template })).toBe(expected)
      else
        expect(() => tokenizer.applyChatTemplate(messages, { template })).toThrow(
          expect.objectContaining({ code: 'invalid_data' }),
        )
    }
  })
})

test('thoughts are printed by a template that knows them, and refused by others', () => {
  const content = [
    { type: 'thinking', thinking: 'Two and two.' },
    { type: 'text', text: '4' },
  ]
  const messages = [
    { role: 'user', content: '2+2?' },
    { role: 'assistant', content },
  ]
  const { template } = golden.templates['thoughts too (Magistral)']!
  const { text } = buildExample(tokenizer, { messages }, { template })
  expect(text).toContain('[THINK]Two and two.[/THINK]4')
  expect(() => buildExample(tokenizer, { messages }, { template: 'chatml' })).toThrow(
    expect.objectContaining({ code: 'incompatible', where: 'messages[1]' }),
  )
})
