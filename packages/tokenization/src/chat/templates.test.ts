import { readFileSync } from 'node:fs'
import type { Message } from '@tunesmith/core'
import { describe, expect, test } from 'vitest'
import { Tokenizer } from '../tokenizer'
import { assistantSpans } from './assistant-spans'
import { chatOptions } from './options'
import { chatTemplates, type TemplateName } from './templates'

const fixture = (name: string) => JSON.parse(readFileSync(new URL(`../fixtures/${name}`, import.meta.url), 'utf8'))
const golden = fixture('templates.golden.json') as {
  conversations: Message[][]
  rendered: Record<TemplateName, { text: string; spans: [number, number][]; masks: Record<string, string> }[]>
}
const load = (base: string) =>
  new Tokenizer({ tokenizerJson: fixture(`${base}.tokenizer.json`), config: { bos_token: '<s>', eos_token: '</s>' } })
const tokenizers = { bytes: load('bytes'), chars: load('chars') }
const tokenizer = tokenizers.bytes

/** Python counts code points, we count UTF-16 units. */
function units(text: string, spans: [number, number][]): [number, number][] {
  const at = (n: number) => [...text].slice(0, n).join('').length
  return spans.map(([start, end]) => [at(start), at(end)])
}

describe('shipped chat templates', () => {
  test('are all there', () => {
    expect(Object.keys(golden.rendered).sort()).toEqual(Object.keys(chatTemplates).sort())
  })
  for (const name of Object.keys(chatTemplates) as TemplateName[])
    test(`${name}: text and spans as transformers has them, and the same spans without generation tags`, () => {
      for (const [i, messages] of golden.conversations.entries()) {
        const { text, spans } = golden.rendered[name][i]!
        const addGenerationPrompt = messages.at(-1)!.role === 'user'
        const tagged = assistantSpans(tokenizer, messages, chatOptions.parse({ template: name, addGenerationPrompt }))
        expect(tagged.text).toBe(text)
        expect(tagged.spans).toEqual(units(text, spans))
        for (const [base, model] of Object.entries(tokenizers)) {
          const { assistantMask } = model.renderChat(messages, { template: name, addGenerationPrompt })
          expect(assistantMask.join('')).toBe(golden.rendered[name][i]!.masks[base])
        }
        const template = chatTemplates[name].replaceAll(/\{%-? (end)?generation %\}/g, '')
        const derived = assistantSpans(tokenizer, messages, chatOptions.parse({ template, addGenerationPrompt }))
        expect(derived.source).toBe('derived')
        expect(derived.text).toBe(text)
        expect(derived.spans, `${name} ${i} ${text}`).toEqual(tagged.spans)
      }
    })

  test("refuse tools and documents, which they do not print, by name or as the tokenizer's own", () => {
    const own = load('bytes')
    own.chatTemplate = chatTemplates.chatml
    const messages = [{ role: 'user', content: 'Hi' }]
    for (const what of ['tools', 'documents']) {
      const refused = {
        code: 'unsupported',
        where: what,
        message: expect.stringContaining(`"chatml" knows no ${what}`),
      }
      const given = { [what]: [{ title: 'a', text: 'b' }] }
      expect(() => own.applyChatTemplate(messages, given)).toThrow(expect.objectContaining(refused))
      expect(() => own.applyChatTemplate(messages, { ...given, template: 'chatml' })).toThrow(
        expect.objectContaining(refused),
      )
      expect(own.applyChatTemplate(messages, { [what]: [] })).toContain('Hi')
    }
  })
})
