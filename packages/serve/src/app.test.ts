import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { selectBackend } from '@tunesmith/backend'
import { createModel, Engine, generateText } from '@tunesmith/models'
import { engineAdapters, getPeftModel, PeftModel, savePeftModel } from '@tunesmith/peft-lora'
import { chatTemplates, Tokenizer } from '@tunesmith/tokenization'
import OpenAI, { APIError } from 'openai'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createApp, type RunningServer, startServer } from './index'

const config = {
  model_type: 'llama',
  vocab_size: 330,
  hidden_size: 32,
  intermediate_size: 64,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  max_position_embeddings: 256,
  eos_token_id: 2,
  initializer_range: 0.4,
}

const model = () => createModel(config, { seed: 4 })
let tokenizer: Tokenizer
let engine: Engine
let server: RunningServer
let client: OpenAI
let folder: string
const errors: unknown[] = []

beforeAll(async () => {
  await selectBackend()
  folder = await mkdtemp(join(tmpdir(), 'tunesmith-serve-'))
  tokenizer = await Tokenizer.fromPretrained(
    fileURLToPath(new URL('../../models/src/fixtures/tokenizers/byte-level', import.meta.url)),
  )
  tokenizer.chatTemplates.default = chatTemplates.chatml
  const served = model()
  const made = getPeftModel(served, { r: 4, targetModules: 'all-linear', initLoraWeights: false })
  await savePeftModel(made, folder)
  made.unload()
  const peft = new PeftModel(served)
  const adapters = engineAdapters(peft)
  engine = new Engine(served, { cacheTokens: 2048, maxRunning: 4, maxWaiting: 4 }, adapters)
  await engine.loadAdapter('tuned', folder)
  const app = createApp({
    engine,
    tokenizer,
    modelName: 'tiny',
    adapters: adapters.names,
    apiKeys: ['secret-key'],
    bodyLimit: 100_000,
    onError: (error) => errors.push(error),
  })
  server = await startServer(app, engine, { port: 0 })
  client = new OpenAI({ baseURL: `${server.url}/v1`, apiKey: 'secret-key', maxRetries: 0 })
})
afterAll(async () => {
  await server.close()
  await rm(folder, { recursive: true })
  expect(errors).toEqual([])
})

const messages = [{ role: 'user' as const, content: 'What is a café?' }]
const post = (path: string, body: unknown, key = 'secret-key') =>
  fetch(`${server.url}${path}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
    body: typeof body === 'string' || body instanceof Uint8Array ? (body as string) : JSON.stringify(body),
  })

describe("OpenAI's client", () => {
  it('lists the model and its adapters', async () => {
    const { data } = await client.models.list()
    expect(data.map(({ id }) => id)).toEqual(['tiny', 'tuned'])
    expect(await client.models.retrieve('tuned')).toMatchObject({ id: 'tuned', parent: 'tiny', max_model_len: 256 })
  })

  it("gets the library's own greedy text, whole and streamed, of the model and of an adapter", async () => {
    const prompt = tokenizer.renderChat(messages, { addGenerationPrompt: true }).ids
    const alone = model()
    const [want] = await generateText(alone, tokenizer, [prompt], { maxNewTokens: 40 })
    const peft = getPeftModel(alone, { r: 4, targetModules: 'all-linear', initLoraWeights: false })
    const [tuned] = await generateText(alone, tokenizer, [prompt], { maxNewTokens: 40 })
    peft.unload()
    expect(tuned!.text).not.toBe(want!.text)
    for (const [name, expected] of [
      ['tiny', want!],
      ['tuned', tuned!],
    ] as const) {
      const request = { model: name, messages, temperature: 0, max_tokens: 40 }
      const whole = await client.chat.completions.create(request)
      expect(whole.choices[0]).toMatchObject({
        index: 0,
        message: { role: 'assistant', content: expected.text },
        finish_reason: expected.finish,
      })
      expect(whole.usage).toMatchObject({
        prompt_tokens: prompt.length,
        completion_tokens: expected.tokens.length,
        total_tokens: prompt.length + expected.tokens.length,
      })
      const stream = await client.chat.completions.create({
        ...request,
        stream: true,
        stream_options: { include_usage: true },
      })
      let text = ''
      const finishes: unknown[] = []
      let usage: unknown
      let roles = 0
      for await (const chunk of stream) {
        const [choice] = chunk.choices
        if (choice?.delta.role) roles++
        text += choice?.delta.content ?? ''
        if (choice?.finish_reason) finishes.push(choice.finish_reason)
        usage = chunk.usage ?? usage
      }
      expect(text).toBe(expected.text)
      expect([roles, finishes]).toEqual([1, [expected.finish]])
      expect(usage).toMatchObject({ prompt_tokens: prompt.length, completion_tokens: expected.tokens.length })
    }
  })

  it('completes texts and ids, several at once, with stop strings held back and left out', async () => {
    const [want] = await generateText(model(), tokenizer, ['The heart'], { maxNewTokens: 30, stopTokenIds: [] })
    const { text } = want!
    const stop = text.slice(6, 9)
    const common = { model: 'tiny', temperature: 0, max_tokens: 30 }
    const stopped = await client.completions.create({ ...common, prompt: 'The heart', stop })
    expect(stopped.choices[0]).toMatchObject({ text: text.slice(0, text.indexOf(stop)), finish_reason: 'stop' })
    let streamed = ''
    for await (const chunk of await client.completions.create({ ...common, prompt: 'The heart', stop, stream: true }))
      streamed += chunk.choices[0]!.text
    expect(streamed).toBe(text.slice(0, text.indexOf(stop)))
    const several = await client.completions.create({
      ...common,
      prompt: ['The heart', 'A lung'],
      n: 2,
      temperature: 1.3,
      seed: 3,
    })
    expect(several.choices.map(({ index }) => index)).toEqual([0, 1, 2, 3])
    const again = await client.completions.create({
      ...common,
      prompt: ['The heart', 'A lung'],
      n: 2,
      temperature: 1.3,
      seed: 3,
    })
    expect(again.choices).toEqual(several.choices)
    expect(several.choices[0]!.text).not.toBe(several.choices[1]!.text)
  })

  it('gets log-probabilities', async () => {
    const { choices } = await client.chat.completions.create({
      model: 'tiny',
      messages,
      temperature: 0,
      max_tokens: 3,
      logprobs: true,
      top_logprobs: 2,
    })
    const { content } = choices[0]!.logprobs!
    for (const { logprob, top_logprobs, token, bytes } of content!) {
      expect(top_logprobs[0]).toEqual({ token, logprob, bytes })
      expect(logprob).toBeLessThanOrEqual(0)
      expect(top_logprobs).toHaveLength(2)
    }
  })

  it('is refused by name: fields, models, lengths, keys; nothing is passed over', async () => {
    const ask = (extra: object) => client.chat.completions.create({ model: 'tiny', messages, ...extra } as never)
    const refused = async (extra: object, status: number, text: RegExp, code?: string) => {
      const error = await ask(extra).then(
        () => undefined,
        (caught: unknown) => caught as APIError,
      )
      expect(error, JSON.stringify(extra)).toBeInstanceOf(APIError)
      expect(error!.status).toBe(status)
      expect(error!.message).toMatch(text)
      if (code) expect(error!.code).toBe(code)
    }
    await refused({ functions: [] }, 400, /"functions"/, 'unsupported_parameter')
    await refused({ response_format: { type: 'xml' } }, 400, /response_format/)
    await refused({ messages: [{ role: 'user', content: 'x', weight: 1 }] }, 400, /messages.*weight/)
    await refused({ temperature: 3 }, 400, /temperature/)
    await refused({ model: 'other' }, 404, /tiny, tuned/, 'model_not_found')
    await refused({ messages: [{ role: 'user', content: 'word '.repeat(300) }] }, 400, /256/, 'context_length_exceeded')
    await refused({ logit_bias: { 4000: 5 } }, 400, /vocabulary/)
    const other = new OpenAI({ baseURL: `${server.url}/v1`, apiKey: 'no', maxRetries: 0 })
    await expect(other.models.list()).rejects.toMatchObject({ status: 401 })
  })
})

describe('the server', () => {
  it('answers bodies of all kinds with an error in shape, and lives', async () => {
    const bodies = [
      '',
      '{',
      '[]',
      'null',
      '{"model":1}',
      `{"model":"tiny","messages":${'['.repeat(20_000)}`,
      new Uint8Array([0x22, 0xff, 0x22]),
      { model: 'tiny', messages: [] },
      { model: 'tiny', messages: [{ role: 'robot', content: 'x' }] },
    ]
    for (const path of ['/v1/chat/completions', '/v1/completions', '/tokenize', '/detokenize'])
      for (const body of bodies) {
        const response = await post(path, body)
        expect(response.status, `${path} ${String(body).slice(0, 40)}`).toBe(400)
        expect(((await response.json()) as { error: object }).error).toMatchObject({ type: 'invalid_request_error' })
      }
    expect((await post('/v1/completions', { model: 'tiny', prompt: 'x'.repeat(200_000) })).status).toBe(413)
    expect((await post('/v1/nothing', {})).status).toBe(404)
    for (const body of [{ messages: [] }, { messages: 'x' }, { messages, prompt: 'x' }])
      expect((await post('/tokenize', body)).status).toBe(400)
    expect((await fetch(server.url)).headers.get('content-type')).toContain('text/html')
    expect(await (await fetch(`${server.url}/health`)).json()).toEqual({ status: 'ok' })
  })

  it('tokenizes and back, and tells its metrics', async () => {
    const { tokens, count } = (await (
      await post('/tokenize', { prompt: 'A café', add_special_tokens: false })
    ).json()) as {
      tokens: number[]
      count: number
    }
    expect(count).toBe(tokens.length)
    const chat = await (await post('/tokenize', { model: 'tuned', messages })).json()
    const { ids } = tokenizer.renderChat(messages, { addGenerationPrompt: true })
    expect(chat).toEqual({ tokens: ids, count: ids.length, max_model_len: 256 })
    expect(await (await post('/detokenize', { tokens })).json()).toEqual({ prompt: 'A café' })
    const metrics = await (
      await fetch(`${server.url}/metrics`, { headers: { authorization: 'Bearer secret-key' } })
    ).text()
    expect(metrics).toMatch(/^tunesmith:generation_tokens_total [1-9]\d*$/m)
    expect(metrics).toMatch(/^tunesmith:num_requests_running 0$/m)
  })

  it('cancels the answer of a client that goes away, and refuses what no longer fits the queue', async () => {
    const controller = new AbortController()
    const body = { model: 'tiny', prompt: 'The heart', max_tokens: 200, ignore_eos: true, stream: true }
    const response = await fetch(`${server.url}/v1/completions`, {
      method: 'POST',
      headers: { authorization: 'Bearer secret-key' },
      body: JSON.stringify(body),
      signal: controller.signal,
    })
    await response.body!.getReader().read()
    controller.abort()
    for (let i = 0; engine.stats.running > 0; i++) {
      expect(i).toBeLessThan(1000)
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
    const many = await Promise.all(
      Array.from({ length: 30 }, () => post('/v1/completions', { ...body, stream: false, max_tokens: 100 })),
    )
    const statuses = many.map(({ status }) => status)
    expect(new Set(statuses)).toEqual(new Set([200, 429]))
    expect(many.find(({ status }) => status === 429)!.headers.get('retry-after')).toBe('1')
  })

  it('refuses a port that is taken', async () => {
    const { port } = new URL(server.url)
    const app = createApp({ engine, tokenizer, modelName: 'tiny' })
    await expect(startServer(app, engine, { port: Number(port) })).rejects.toThrow(`Port ${port} is taken`)
  })
})

it('asks a chat with the sources that it is grounded in, and tells the client which they were', async () => {
  const rooms: number[] = []
  const app = createApp({
    ...{ engine, tokenizer, modelName: 'tiny' },
    ground: async (messages, room) => {
      rooms.push(room)
      return {
        messages: [{ role: 'system', content: 'Use [1].' }, ...messages],
        sources: [{ number: 1, source: 'a.md' }],
      }
    },
  })
  const post = (body: object) =>
    app.request('/v1/chat/completions', {
      ...{ method: 'POST', headers: { 'content-type': 'application/json' } },
      body: JSON.stringify({ model: 'tiny', temperature: 0, max_tokens: 8, ...body }),
    })
  const messages = [{ role: 'user', content: 'Hello' }]
  const grounded = (await (await post({ messages })).json()) as Record<string, unknown>
  expect(grounded.sources).toEqual([{ number: 1, source: 'a.md' }])
  expect(rooms).toEqual([248])
  // The same as asking the model with the sources oneself.
  const plain = createApp({ engine, tokenizer, modelName: 'tiny' })
  const own = await plain.request('/v1/chat/completions', {
    method: 'POST',
    body: JSON.stringify({
      ...{ model: 'tiny', temperature: 0, max_tokens: 8 },
      messages: [{ role: 'system', content: 'Use [1].' }, ...messages],
    }),
  })
  const { choices, ...rest } = (await own.json()) as typeof grounded
  expect(grounded.choices).toEqual(choices)
  expect(rest).not.toHaveProperty('sources')
  const lines = (await (await post({ messages, stream: true })).text())
    .split('\n\n')
    .filter((line) => line.startsWith('data: {'))
  const chunks = lines.map((line) => JSON.parse(line.slice(6)))
  expect(chunks[0].sources).toEqual([{ number: 1, source: 'a.md' }])
  expect(chunks.slice(1).some((chunk) => 'sources' in chunk)).toBe(false)
})
