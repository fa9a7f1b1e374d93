import { selectBackend } from '@tunesmith/backend'
import { Ajv2020 } from 'ajv/dist/2020.js'
import formats from 'ajv-formats'
import OpenAI from 'openai'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type TinyServer, tinyServer } from '../testing/tiny-server'
import { checkSchema } from './check-schema'

let server: TinyServer
let client: OpenAI

beforeAll(async () => {
  await selectBackend()
  server = await tinyServer({}, { cacheTokens: 8192, maxRunning: 16, maxWaiting: 300 })
  client = new OpenAI({ baseURL: `${server.url}/v1`, apiKey: 'none', maxRetries: 0 })
})
afterAll(async () => {
  await server.stop()
  expect(server.errors).toEqual([])
})

/** Numbers from 0 up to `below`, always the same. */
function generator(seed: number) {
  let state = seed
  return (below: number) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }
}
type Next = ReturnType<typeof generator>
type Schema = Record<string, unknown>

const LEAVES: ((next: Next) => Schema)[] = [
  () => ({ type: 'boolean' }),
  () => ({ type: 'null' }),
  (next) => ({ type: 'integer', minimum: next(9) - 4, maximum: 5 + next(2000) }),
  (next) => ({ type: 'integer', exclusiveMinimum: -next(50) - 2, exclusiveMaximum: next(50) + 2 }),
  () => ({ type: 'number' }),
  () => ({ type: 'array', maxItems: 2 }),
  () => ({ type: 'object' }),
  () => ({}),
  (next) => ({ type: 'string', minLength: next(3), maxLength: 3 + next(6) }),
  (next) => ({ enum: ['a', 'b "c"', 7, null, { d: [1] }].slice(next(4)) }),
  (next) => ({ const: ['x', 0, true, null, [1, 'y']][next(5)] }),
  () => ({ type: 'string', format: 'uuid' }),
  (next) => ({
    type: 'string',
    pattern: ['^[a-c]{2,4}$', '^(?:left|right)-\\d{1,3}$', '^[A-Z]\\d[A-Z]$', 'a+b?'][next(4)],
  }),
  () => ({ type: ['integer', 'null'], minimum: 3, maximum: 12 }),
]

function anySchema(next: Next, depth: number): Schema {
  const kind = depth > 2 ? 0 : next(6)
  if (kind < 2) return LEAVES[next(LEAVES.length)]!(next)
  if (kind === 2) {
    const least = next(2)
    return { type: 'array', items: anySchema(next, depth + 1), minItems: least, maxItems: least + next(3) }
  }
  if (kind === 3) return { anyOf: Array.from({ length: 1 + next(3) }, () => anySchema(next, depth + 1)) }
  return anyObject(next, depth)
}

function anyObject(next: Next, depth: number): Schema {
  const names = ['age', 'na me', 'öx', 'list', 'z'].slice(0, 1 + next(4))
  return {
    type: 'object',
    title: 'made up',
    properties: Object.fromEntries(names.map((name) => [name, anySchema(next, depth + 1)])),
    required: names.filter(() => next(3) > 0),
    ...(next(2) && { additionalProperties: next(2) === 1 }),
  }
}

function rootSchema(next: Next): Schema {
  const made = anyObject(next, 0)
  if (next(4) > 0) return made
  const properties = { ...(made.properties as Schema), next: { $ref: '#/$defs/part' }, part: { $ref: '#/$defs/part' } }
  const part = {
    type: 'object',
    properties: { v: LEAVES[next(LEAVES.length)]!(next), more: { $ref: '#/$defs/part' } },
    required: ['v'],
  }
  return { ...made, properties, $defs: { part } }
}

const ask = (schema: unknown, more: object = {}) =>
  server.post('/v1/chat/completions', {
    model: 'tiny',
    messages: [{ role: 'user', content: 'x' }],
    max_tokens: 100,
    response_format: { type: 'json_schema', json_schema: { name: 'made', schema, strict: true } },
    ...more,
  })
interface Answer {
  choices: { message: { content: string }; finish_reason: string }[]
}

describe('answers in JSON', () => {
  it('200 schemas: every answer that is whole is what its schema says', { timeout: 120_000 }, async () => {
    const next = generator(11)
    const ajv = new Ajv2020({ strict: false })
    formats.default(ajv)
    const schemas = Array.from({ length: 200 }, () => rootSchema(next))
    let whole = 0
    const one = async (schema: Schema, i: number) => {
      const response = await ask(schema, { seed: i, temperature: 0.7 })
      expect(
        response.status,
        `${response.status === 200 ? '' : await response.clone().text()} ${JSON.stringify(schema)}`,
      ).toBe(200)
      const [choice] = ((await response.json()) as Answer).choices
      if (choice!.finish_reason !== 'stop') return
      whole++
      const value: unknown = JSON.parse(choice!.message.content)
      const valid = ajv.compile(schema)
      expect(valid(value), `${JSON.stringify(schema)} ${choice!.message.content} ${JSON.stringify(valid.errors)}`).toBe(
        true,
      )
    }
    for (let i = 0; i < schemas.length; i += 20)
      await Promise.all(schemas.slice(i, i + 20).map((schema, j) => one(schema, i + j)))
    // The others are long texts of a model that knows no end.
    expect(whole).toBeGreaterThan(100)
  })

  it('500 schemas that could not be kept are refused, and the server lives', { timeout: 60_000 }, async () => {
    const next = generator(5)
    const bad: ((good: Schema) => unknown)[] = [
      (good) => ({ ...good, not: { type: 'null' } }),
      (good) => ({ ...good, properties: { a: { type: 'array', uniqueItems: true } }, required: [] }),
      (good) => ({ oneOf: [good, { type: 'integer' }] }),
      (good) => ({ allOf: [good, good] }),
      (good) => ({ ...good, required: ['nobody'] }),
      (good) => ({ ...good, properties: { a: { type: 'nothing' } }, required: [] }),
      (good) => ({ ...good, properties: { a: { $ref: '#/$defs/nowhere' } }, required: [] }),
      (good) => ({ ...good, properties: { a: { $ref: 'https://example.org/x' } }, required: [] }),
      (good) => ({ ...good, properties: { a: { type: 'string', pattern: '(?=a)b' } }, required: [] }),
      (good) => ({ ...good, properties: { a: { type: 'string', pattern: '^.*$' } }, required: [] }),
      (good) => ({ ...good, properties: { a: { type: 'string', pattern: '[^"]' } }, required: [] }),
      (good) => ({ ...good, properties: { a: { type: 'string', pattern: '(a' } }, required: [] }),
      (good) => ({ ...good, properties: { a: { type: 'string', pattern: 'a**' } }, required: [] }),
      (good) => ({
        ...good,
        properties: { a: { type: 'string', format: ['date', 'ipv4', 'odd'][next(3)] } },
        required: [],
      }),
      (good) => ({ ...good, properties: { a: { type: 'string', pattern: 'a', minLength: 2 } }, required: [] }),
      (good) => ({ ...good, properties: { a: { type: 'number', multipleOf: 3 } }, required: [] }),
      (good) => ({ ...good, properties: { a: { type: 'number', minimum: 0.5 } }, required: [] }),
      (good) => ({ ...good, properties: { a: { type: 'integer', minimum: 5, maximum: 4 } }, required: [] }),
      (good) => ({ ...good, properties: { a: { type: 'string', minLength: -1 } }, required: [] }),
      (good) => ({ ...good, properties: { a: { enum: [] } }, required: [] }),
      (good) => ({ ...good, properties: { a: { type: 'string', enum: [1] } }, required: [] }),
      (good) => ({ ...good, properties: { a: true }, required: [] }),
      (good) => ({ ...good, properties: { 'a"b': good }, required: [] }),
      (good) => ({ ...good, patternProperties: { a: good } }),
      () => JSON.parse(`${'{"type":"array","items":'.repeat(40)}{}${'}'.repeat(40)}`),
      (good) => ({
        ...good,
        properties: Object.fromEntries(Array.from({ length: 2001 }, (_, i) => [`p${i}`, { type: 'null' }])),
        required: [],
      }),
    ]
    const one = async (i: number) => {
      const schema = bad[i % bad.length]!(rootSchema(next))
      const response = await ask(schema)
      const text = await response.text()
      expect(response.status, `${i} ${JSON.stringify(schema).slice(0, 200)} ${text.slice(0, 200)}`).toBe(400)
      expect((JSON.parse(text) as { error: { code: string } }).error.code).toBe('invalid_json_schema')
    }
    for (let i = 0; i < 500; i += 10) await Promise.all(Array.from({ length: 10 }, (_, j) => one(i + j)))
    expect((await ask({ type: 'object', properties: { a: { type: 'boolean' } }, required: ['a'] })).status).toBe(200)
    expect(server.engine.stats.running).toBe(0)
  })

  it("OpenAI's client gets an object, whole and streamed, and several at once", async () => {
    const request = {
      model: 'tiny',
      messages: [{ role: 'user' as const, content: 'x' }],
      temperature: 0,
      max_tokens: 120,
      response_format: {
        type: 'json_schema' as const,
        json_schema: {
          name: 'x',
          schema: { type: 'object', properties: { yes: { type: 'boolean' } }, required: ['yes'] },
        },
      },
    }
    const { choices } = await client.chat.completions.create({ ...request, n: 3 })
    for (const { message, finish_reason } of choices) {
      expect(finish_reason).toBe('stop')
      expect(JSON.parse(message.content!)).toEqual({ yes: expect.any(Boolean) })
    }
    let text = ''
    for await (const chunk of await client.chat.completions.create({ ...request, stream: true }))
      text += chunk.choices[0]?.delta.content ?? ''
    expect(text).toBe(choices[0]!.message.content)
    const any = await client.chat.completions.create({
      ...request,
      response_format: { type: 'json_object' },
      temperature: 0.5,
      seed: 2,
    })
    expect(any.choices[0]!.message.content!.startsWith('{')).toBe(true)
  })

  it('refuses what would cut an answer short', async () => {
    for (const more of [{ stop: 'a' }, { stop_token_ids: [4] }, { ignore_eos: true }])
      expect((await ask({ type: 'object' }, more)).status).toBe(400)
  })
})

describe('checkSchema', () => {
  it('says where and which word', () => {
    const refused = (schema: unknown, text: RegExp) => expect(() => checkSchema(schema, 'x')).toThrow(text)
    refused({ type: 'object', properties: { a: { type: 'array', contains: {} } } }, /schema\.properties\.a: "contains"/)
    refused({ type: 'string', minItems: 1 }, /its words are about "array"/)
    refused({ $ref: '#', type: 'object' }, /beside "\$ref"/)
  })

  it('keeps to what an answer may be', () => {
    expect(
      checkSchema({ type: 'object', properties: { a: { minLength: 1 } }, additionalProperties: true }, 'x'),
    ).toEqual({
      type: 'object',
      properties: { a: { type: 'string', minLength: 1 } },
      required: [],
      additionalProperties: false,
    })
    expect(checkSchema({ enum: [1, 'a', 2.5], type: ['integer', 'string'] }, 'x')).toEqual({ enum: [1, 'a'] })
  })
})
