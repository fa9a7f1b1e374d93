import { readFileSync } from 'node:fs'
import type { Message } from '@tunesmith/core'
import { describe, expect, test } from 'vitest'
import { Tokenizer } from '../tokenizer'
import { assistantSpans } from './assistant-spans'
import { chatOptions } from './options'

const fixture = (name: string) => JSON.parse(readFileSync(new URL(`../fixtures/${name}`, import.meta.url), 'utf8'))
const templates = fixture('turn-templates.json') as Record<string, { about: string; lines: string[] }>
const golden = fixture('turns.golden.json') as {
  tools: Record<string, unknown>[]
  conversations: Record<string, Message[]>
  rendered: Record<string, Record<string, { text: string; said: string[] }>>
}
const tokenizer = new Tokenizer({
  tokenizerJson: fixture('bytes.tokenizer.json'),
  config: { bos_token: '<s>', eos_token: '</s>' },
})

/** What is said in each span; pieces that touch are one. */
function said(messages: Message[], template: string, open: boolean): { text: string; said: string[]; source: string } {
  const tools = messages.some(({ role, tool_calls }) => role === 'tool' || tool_calls) ? golden.tools : undefined
  const options = chatOptions.parse({ template, tools, addGenerationPrompt: open })
  const { text, spans, source } = assistantSpans(tokenizer, messages, options)
  const pieces = spans.filter(([start, end]) => end > start).map(([start, end]) => text.slice(start, end))
  return { text, said: pieces, source }
}

describe.each(Object.entries(templates))('%s', (name, { lines }) => {
  const template = lines.join('')
  const stripped = template.replaceAll(/\{% (end)?generation %\}/g, '')

  test('is rendered and marked as transformers does it', () => {
    for (const [title, expected] of Object.entries(golden.rendered[name]!)) {
      const messages = golden.conversations[title]!
      const tagged = said(messages, template, messages.at(-1)!.role === 'user')
      expect({ ...tagged, title }).toEqual({ ...expected, source: 'generation tags', title })
    }
  })

  test('says the same without its tags', () => {
    for (const [title, expected] of Object.entries(golden.rendered[name]!)) {
      const messages = golden.conversations[title]!
      const derived = said(messages, stripped, messages.at(-1)!.role === 'user')
      expect({ ...derived, title }).toEqual({ ...expected, source: 'derived', title })
    }
  })
})
