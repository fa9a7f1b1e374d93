import { selectBackend } from '@tunesmith/backend'
import { Tokenizer } from '@tunesmith/tokenization'
import { sharedPath } from '@tunesmith/tooling/shared'
import OpenAI from 'openai'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type TinyServer, tinyServer, tinyTokenizer } from '../testing/tiny-server'
import { GrowingAnswer, Tools } from './tools'

const weather = {
  type: 'function' as const,
  function: {
    name: 'get_weather',
    description: 'The weather of a place',
    parameters: {
      type: 'object',
      properties: { days: { type: 'integer', minimum: 1, maximum: 7 }, unit: { $ref: '#/$defs/unit' } },
      required: ['days', 'unit'],
      $defs: { unit: { enum: ['C', 'F'] } },
    },
  },
}
const clock = { type: 'function' as const, function: { name: 'clock' } }
const tools = [weather, clock]

/** What the three families write, in templates of a few words. */
const TEMPLATES = {
  hermes: `{% for tool in tools or [] %}{{ tool.function.name }}{% endfor %}{% for m in messages %}<|im_start|>{{ m.role }}
{{ m.content }}{% for call in m.tool_calls or [] %}<tool_call>{{ call.function.name }}{{ call.function.arguments.zone }}</tool_call>{% endfor %}<|im_end|>{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant
{% endif %}`,
  mistral: `{% for tool in tools or [] %}{{ tool.function.name }}{% endfor %}{% for m in messages %}{{ m.content }}{% if m.tool_calls %}[TOOL_CALLS]{{ m.tool_calls[0].function.arguments.zone }}{% endif %}{% endfor %}`,
  llama: `{% for tool in tools or [] %}{{ tool.function.name }}{% endfor %}{% for m in messages %}{{ m.content }}{% endfor %}{"name": x, "parameters": y}`,
}

let server: TinyServer
let client: OpenAI
let tokenizer: Tokenizer
beforeAll(async () => {
  await selectBackend()
  tokenizer = await tinyTokenizer()
  server = await tinyServer({ tokenizer }, { cacheTokens: 8192, maxRunning: 8, maxWaiting: 64 })
  client = new OpenAI({ baseURL: `${server.url}/v1`, apiKey: 'none', maxRetries: 0 })
})
afterAll(async () => {
  await server.stop()
  expect(server.errors).toEqual([])
})

const request = (more: object) => ({
  model: 'tiny',
  messages: [{ role: 'user' as const, content: 'x' }],
  temperature: 0.5,
  seed: 3,
  max_tokens: 120,
  tools,
  ...more,
})

describe.each(Object.keys(TEMPLATES) as (keyof typeof TEMPLATES)[])('%s', (family) => {
  beforeAll(() => {
    tokenizer.chatTemplates.default = TEMPLATES[family]
  })

  it("OpenAI's client gets the call that it asks for, whole and streamed", async () => {
    const named = { type: 'function' as const, function: { name: 'get_weather' } }
    for (const tool_choice of [named, 'required' as const]) {
      const { choices } = await client.chat.completions.create(request({ tool_choice, n: 2 }))
      for (const { message, finish_reason } of choices) {
        expect([finish_reason, message.content]).toEqual(['tool_calls', null])
        const [call] = message.tool_calls!
        if (call?.type !== 'function') throw new Error('no call')
        const { name, arguments: json } = call.function
        if (tool_choice === named) expect(name).toBe('get_weather')
        const given = JSON.parse(json) as { days: number; unit: string }
        if (name === 'get_weather') {
          expect(given.days).toBeGreaterThanOrEqual(1)
          expect(given.days).toBeLessThanOrEqual(7)
          expect(['C', 'F']).toContain(given.unit)
        } else expect(name).toBe('clock')
      }
      const [want] = choices[0]!.message.tool_calls!
      let json = ''
      let name = ''
      let finish: string | null = null
      const streamed = await client.chat.completions.create({ ...request({ tool_choice }), stream: true })
      for await (const {
        choices: [choice],
      } of streamed) {
        expect(choice!.delta.content || '').toBe('')
        for (const { function: of } of choice!.delta.tool_calls ?? []) {
          json += of?.arguments ?? ''
          name += of?.name ?? ''
        }
        finish = choice!.finish_reason ?? finish
      }
      expect([finish, { name, arguments: json }]).toEqual([
        'tool_calls',
        want?.type === 'function' ? want.function : undefined,
      ])
    }
  })

  it('takes calls and their results in the conversation', async () => {
    const call = { id: 'call-1', type: 'function' as const, function: { name: 'clock', arguments: '{"zone": "UTC"}' } }
    const messages = [
      { role: 'user' as const, content: 'x' },
      { role: 'assistant' as const, content: null, tool_calls: [call] },
      { role: 'tool' as const, tool_call_id: 'call-1', content: '12:00' },
    ]
    const { usage } = await client.chat.completions.create(request({ messages, max_tokens: 2 }))
    expect(usage!.prompt_tokens).toBeGreaterThan(10)
  })
})

describe('what models write', () => {
  const of = async (family: keyof typeof TEMPLATES, more: object = {}) => {
    const own = await tinyTokenizer()
    own.chatTemplates.default = TEMPLATES[family]
    return Tools.of({ tools, ...more }, own)!
  }
  const CALLS: Record<keyof typeof TEMPLATES, [string, string][]> = {
    hermes: [
      ['Let me see.\n<tool_call>\n{"name": "clock", "arguments": {}}\n</tool_call>', 'Let me see.'],
      [
        '<tool_call>{"name": "clock", "arguments": {"a": "<b"}}</tool_call>\n<tool_call>{"name": "get_weather", "arguments": {}}</tool_call>',
        '',
      ],
      ['<tool_call>\n{"name": "clock", "arguments": {}}', ''],
    ],
    mistral: [
      ['[{"name": "clock", "arguments": {}}]', ''],
      [' [TOOL_CALLS] [{"name": "clock", "arguments": {}}, {"name": "get_weather", "arguments": {"days": 1}}]', ''],
    ],
    llama: [
      ['{"name": "clock", "parameters": {}}', ''],
      ['<|python_tag|>{"name": "get_weather", "parameters": {"days": 2}}', ''],
    ],
  }

  it.each(Object.keys(CALLS) as (keyof typeof TEMPLATES)[])(
    '%s: calls are found, and shown in no part',
    async (family) => {
      const found = await of(family)
      for (const [written, text] of CALLS[family]) {
        const { calls, text: rest } = found.read(written)
        expect(calls.length, written).toBe((written.match(/"name"/g) ?? []).length)
        for (const { function: of } of calls) expect(() => JSON.parse(of.arguments)).not.toThrow()
        expect(rest).toBe(text)
        const growing = new GrowingAnswer(found)
        let shown = ''
        for (const [i, char] of [...written].entries()) shown += growing.add(char, i === written.length - 1).text
        expect(shown.trim()).toBe(text)
      }
      for (const plain of ['It is 5 < 6, and {a} is [b].', 'Hello', '<tool', 'a <tool_calm>']) {
        expect(found.read(plain)).toEqual({ calls: [], text: plain })
        const growing = new GrowingAnswer(found)
        let shown = ''
        for (const [i, char] of [...plain].entries()) shown += growing.add(char, i === plain.length - 1).text
        expect(shown).toBe(plain)
      }
      const unknown = CALLS[family][0]![0].replace('"clock"', '"nobody"')
      expect(found.read(unknown)).toEqual({ calls: [], text: unknown })
      const one = await of(family, { parallel_tool_calls: false })
      expect(one.read(CALLS[family][1]![0]).calls).toHaveLength(1)
    },
  )

  it('refuses tools of models that know none, and choices that are none', async () => {
    const plain = await tinyTokenizer()
    expect(() => Tools.of({ tools }, plain)).toThrow(/knows no tools/)
    expect(Tools.of({ tools, tool_choice: 'none' }, plain)).toBeUndefined()
    expect(Tools.of({}, plain)).toBeUndefined()
    expect(() => Tools.of({ tool_choice: 'required' }, plain)).toThrow(/there are no tools/)
    expect(() => Tools.of({ tools: [clock, clock] }, plain)).toThrow(/two tools/)
    const other = { type: 'function' as const, function: { name: 'other' } }
    expect(() => Tools.of({ tools, tool_choice: other }, plain)).toThrow(/no tool "other"/)
  })
})

const tokenizers = sharedPath('tokenizers')
it.runIf(tokenizers)('real templates print the tools', async () => {
  for (const name of ['qwen2.5-instruct', 'llama-3.1-8b-instruct']) {
    const real = await Tokenizer.fromPretrained(`${tokenizers}/${name}`)
    const text = real.applyChatTemplate([{ role: 'user', content: 'x' }], { tools, addGenerationPrompt: true })
    expect(text, name).toContain('get_weather')
    expect(Tools.of({ tools }, real), name).toBeDefined()
  }
})
