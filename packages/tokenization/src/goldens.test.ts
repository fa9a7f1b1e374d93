import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Message } from '@tunesmith/core'
import { beforeAll, describe, expect, test } from 'vitest'
import { sharedFolder } from './testing/shared'
import { Tokenizer } from './tokenizer'

const folder = sharedFolder('tokenizers')

interface Case {
  text: string
  ids: number[]
  ids_no_special: number[]
  tokens_no_special: string[]
  decode: string
  decode_skip_special: string
  decode_no_special: string
  decode_no_special_skip_special: string
  transformers4_cleanup?: Record<string, string>
}
interface ChatCase {
  messages: Message[]
  tools?: Record<string, unknown>[]
  template_kwargs?: Record<string, unknown>
  add_generation_prompt?: boolean
  rendered?: string
  ids?: number[]
  expect_error?: string
  chat_template_file?: string
}

const read = (name: string) => JSON.parse(readFileSync(join(folder as string, name), 'utf8')).tokenizers

for (const name of ['tinyllama-1.1b-chat', 'starling-lm-7b-alpha', 'llama-3.1-8b-instruct', 'qwen2.5-instruct', 'gpt2'])
  describe.skipIf(!folder)(`reference outputs: ${name}`, () => {
    let tokenizer: Tokenizer
    beforeAll(async () => {
      tokenizer = await Tokenizer.fromPretrained(join(folder as string, name))
    })

    test('ids and decoded text', () => {
      expect(tokenizer.engineInfo).toEqual({ name: 'bpe' })
      const { cases, decode_cases } = read('goldens.json')[name] as {
        cases: Case[]
        decode_cases: { ids: number[]; decode: string; decode_skip_special: string }[]
      }
      expect(cases.length).toBeGreaterThan(70)
      for (const c of cases) {
        const encoding = tokenizer.encode(c.text)
        expect(encoding.ids, c.text).toEqual(c.ids)
        expect(encoding.offsets.length).toBe(c.ids.length)
        const plain = tokenizer.encode(c.text, { addSpecialTokens: false }).ids
        expect(plain).toEqual(c.ids_no_special)
        expect(plain.map((id) => tokenizer.idToToken(id))).toEqual(c.tokens_no_special)
        expect(tokenizer.decode(c.ids)).toBe(c.decode)
        expect(tokenizer.decode(c.ids, { skipSpecialTokens: true })).toBe(c.decode_skip_special)
        expect(tokenizer.decode(plain)).toBe(c.decode_no_special)
        expect(tokenizer.decode(plain, { skipSpecialTokens: true })).toBe(c.decode_no_special_skip_special)
        if (c.transformers4_cleanup?.decode !== undefined)
          expect(tokenizer.decode(c.ids, { cleanUpTokenizationSpaces: true })).toBe(c.transformers4_cleanup.decode)
      }
      for (const c of decode_cases) {
        expect(tokenizer.decode(c.ids)).toBe(c.decode)
        expect(tokenizer.decode(c.ids, { skipSpecialTokens: true })).toBe(c.decode_skip_special)
      }
    })

    test('chats', () => {
      const { cases } = read('chat_goldens.json')[name] as { cases: ChatCase[] }
      expect(cases.length).toBeGreaterThan(17)
      for (const c of cases) {
        const options = {
          addGenerationPrompt: c.add_generation_prompt ?? false,
          variables: c.template_kwargs ?? {},
          tools: c.tools ?? null,
          template: c.chat_template_file && readFileSync(join(folder as string, c.chat_template_file), 'utf8'),
        }
        if (c.expect_error !== undefined) {
          expect(() => tokenizer.applyChatTemplate(c.messages, options)).toThrow(c.expect_error)
          continue
        }
        const rendered = tokenizer.applyChatTemplate(c.messages, options)
        expect(rendered).toBe(c.rendered)
        expect(tokenizer.encode(rendered, { addSpecialTokens: false }).ids).toEqual(c.ids)
      }
    })
  })
