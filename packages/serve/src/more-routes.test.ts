import { mkdir, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import * as tf from '@tensorflow/tfjs-core'
import { selectBackend } from '@tunesmith/backend'
import { generateText, packSequences } from '@tunesmith/models'
import OpenAI from 'openai'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type TinyServer, tinyModel, tinyServer } from './testing/tiny-server'

let server: TinyServer
let client: OpenAI

beforeAll(async () => {
  await selectBackend()
  server = await tinyServer((folder) => ({ adapterDir: folder }))
  client = new OpenAI({ baseURL: `${server.url}/v1`, apiKey: 'none', maxRetries: 0 })
})
afterAll(async () => {
  await server.stop()
  expect(server.errors).toEqual([])
})

const load = (name: string, path: string) => server.post('/v1/load_lora_adapter', { lora_name: name, lora_path: path })
const unload = (name: string) => server.post('/v1/unload_lora_adapter', { lora_name: name })
const names = async () => (await client.models.list()).data.map(({ id }) => id)
const complete = async (model: string) =>
  (await client.completions.create({ model, prompt: 'The heart', temperature: 0, max_tokens: 20 })).choices[0]!.text

describe('adapters over HTTP', () => {
  it("come and go in vLLM's shape, each a model of its own", async () => {
    const base = await complete('tiny')
    const loaded = await load('first', 'adapter')
    expect([loaded.status, await loaded.text()]).toEqual([200, "Success: LoRA adapter 'first' added successfully."])
    expect((await load('second', join(server.folder, 'adapter'))).status).toBe(200)
    expect(await names()).toEqual(['tiny', 'first', 'second'])
    const tuned = await complete('first')
    expect(tuned).not.toBe(base)
    expect(await complete('second')).toBe(tuned)
    const before = tf.memory().numTensors
    expect((await unload('second')).status).toBe(200)
    expect(tf.memory().numTensors).toBeLessThan(before)
    expect((await unload('first')).status).toBe(200)
    expect(await names()).toEqual(['tiny'])
    await expect(complete('first')).rejects.toMatchObject({ status: 404 })
    expect(await complete('tiny')).toBe(base)
  })

  it('are not loaded from elsewhere, twice, or under the name of the model', async () => {
    await load('first', 'adapter')
    await mkdir(join(server.folder, 'broken'))
    await mkdir(join(server.folder, 'linked'))
    await symlink('/etc/hosts', join(server.folder, 'linked', 'adapter_config.json'))
    await symlink('/usr', join(server.folder, 'outside'))
    await writeFile(join(server.folder, 'broken', 'adapter_config.json'), '{')
    const elsewhere = ['..', '.', '/', '/etc', '../..', 'adapter/../..', 'outside', 'linked', 'nowhere', 'adapter\0']
    const answers = new Set<string>()
    for (const path of elsewhere) {
      const response = await load('other', path)
      expect(response.status, path).toBe(400)
      const { error } = (await response.json()) as { error: { message: string; param: string } }
      expect(error.param).toBe('lora_path')
      answers.add(error.message.replace(JSON.stringify(path), ''))
    }
    // A client does not learn which of them exist.
    expect(answers.size).toBe(1)
    for (const [name, path] of [
      ['first', 'adapter'],
      ['tiny', 'adapter'],
      ['other', 'broken'],
    ] as const)
      expect((await load(name, path)).status, name).toBe(400)
    expect((await unload('nobody')).status).toBe(404)
    expect((await unload('tiny')).status).toBe(404)
    expect((await server.post('/v1/load_lora_adapter', { lora_name: 'x' })).status).toBe(400)
    expect(await names()).toEqual(['tiny', 'first'])
    await unload('first')
  })

  it('are not there unless a folder is given', async () => {
    const closed = await tinyServer()
    for (const route of ['load', 'unload'])
      expect((await closed.post(`/v1/${route}_lora_adapter`, { lora_name: 'a', lora_path: 'b' })).status).toBe(404)
    await closed.stop()
  })
})

describe('embeddings', () => {
  it('are means of the last hidden states, of length 1, by each adapter its own', async () => {
    const texts = ['The heart', 'A lung', 'The heart of a café '.repeat(8)]
    await load('first', 'adapter')
    const { data, usage, model } = await client.embeddings.create({ model: 'tiny', input: texts })
    const sequences = texts.map((text) => server.tokenizer.encode(text).ids)
    expect([model, usage.prompt_tokens]).toEqual(['tiny', sequences.reduce((sum, { length }) => sum + length, 0)])
    const alone = tinyModel()
    for (const [i, sequence] of sequences.entries()) {
      const want = tf.tidy(() => {
        const mean = tf.mean(alone.forward(packSequences([sequence])), 0)
        return tf.div(mean, tf.norm(mean)).dataSync()
      })
      expect(data[i]!.index).toBe(i)
      for (const [j, value] of data[i]!.embedding.entries()) expect(Math.abs(value - want[j]!)).toBeLessThan(1e-5)
    }
    alone.dispose()
    const floats = await client.embeddings.create({ model: 'tiny', input: sequences[0]!, encoding_format: 'float' })
    for (const [j, value] of floats.data[0]!.embedding.entries())
      expect(Math.abs(value - data[0]!.embedding[j]!)).toBeLessThan(1e-5)
    const tuned = await client.embeddings.create({ model: 'first', input: texts[0]! })
    expect(tuned.data[0]!.embedding).not.toEqual(data[0]!.embedding)
    await unload('first')
  })

  it('refuse what has no tokens, too many, or others than the model knows', async () => {
    for (const input of ['', [], [''], [[]], 'word '.repeat(300), [400], [-1], [1.5], [['a']], { a: 1 }])
      expect((await server.post('/v1/embeddings', { model: 'tiny', input })).status, JSON.stringify(input)).toBe(400)
    const dimensions = await server.post('/v1/embeddings', { model: 'tiny', input: 'x', dimensions: 8 })
    expect(await dimensions.text()).toContain('dimensions')
  })
})

describe('responses', () => {
  const input = 'What is a café?'
  const request = { model: 'tiny', input, instructions: 'Be short.', temperature: 0, max_output_tokens: 24 }

  it("is the library's greedy text, whole and streamed", async () => {
    const prompt = server.tokenizer.renderChat(
      [
        { role: 'system', content: 'Be short.' },
        { role: 'user', content: input },
      ],
      { addGenerationPrompt: true },
    ).ids
    const alone = tinyModel()
    const [want] = await generateText(alone, server.tokenizer, [prompt], { maxNewTokens: 24 })
    alone.dispose()
    const whole = await client.responses.create(request)
    expect(whole.output_text).toBe(want!.text)
    const status = want!.finish === 'length' ? 'incomplete' : 'completed'
    expect(whole).toMatchObject({
      object: 'response',
      status,
      incomplete_details: status === 'incomplete' ? { reason: 'max_output_tokens' } : null,
      usage: { input_tokens: prompt.length, output_tokens: want!.tokens.length },
    })
    const types: string[] = []
    let [deltas, number] = ['', 0]
    for await (const event of await client.responses.create({ ...request, stream: true })) {
      expect(event.sequence_number).toBe(number++)
      if (types.at(-1) !== event.type) types.push(event.type)
      if (event.type === 'response.output_text.delta') deltas += event.delta
      if (event.type === `response.${status}`) {
        const { output } = (event as unknown as { response: typeof whole }).response
        expect(output).toMatchObject([{ role: 'assistant', status, content: [{ text: want!.text }] }])
      }
    }
    expect(deltas).toBe(want!.text)
    expect(types).toEqual([
      'response.created',
      'response.in_progress',
      'response.output_item.added',
      'response.content_part.added',
      'response.output_text.delta',
      'response.output_text.done',
      'response.content_part.done',
      'response.output_item.done',
      `response.${status}`,
    ])
    // The client's own helper puts the events together.
    const final = await client.responses.stream(request).finalResponse()
    expect(final.output_text).toBe(want!.text)
  })

  it('takes a conversation as items, and refuses what would have to be kept', async () => {
    const items = [
      { role: 'developer' as const, content: 'Be short.' },
      { role: 'user' as const, content: [{ type: 'input_text' as const, text: input }] },
    ]
    const { output_text } = await client.responses.create({ ...request, instructions: null, input: items })
    expect(output_text).toBe((await client.responses.create(request)).output_text)
    for (const extra of [{ store: true }, { previous_response_id: 'resp_1' }, { tools: [] }, { background: true }])
      await expect(client.responses.create({ ...request, ...extra } as never)).rejects.toMatchObject({
        status: 400,
        message: expect.stringContaining(Object.keys(extra)[0]!),
      })
    await expect(client.responses.create({ ...request, input: 'word '.repeat(300) })).rejects.toMatchObject({
      code: 'context_length_exceeded',
    })
  })
})

it("metrics count with vLLM's names, and time first and next tokens", async () => {
  const { body } = await fetch(`${server.url}/metrics`).then(async (response) => ({ body: await response.text() }))
  const value = (name: string) => Number(new RegExp(`^tunesmith:${name} (\\S+)$`, 'm').exec(body)?.[1])
  expect(value('num_requests_running')).toBe(0)
  expect(value('generation_tokens_total')).toBe(server.engine.stats.newTokens)
  expect(value('prompt_tokens_total')).toBe(server.engine.stats.promptTokens)
  const answers = value('time_to_first_token_seconds_count')
  expect(answers).toBe(value('e2e_request_latency_seconds_count'))
  expect(value('inter_token_latency_seconds_count')).toBe(server.engine.stats.newTokens - answers)
  const finished = [...body.matchAll(/request_success_total\{finished_reason="(\w+)"\} (\d+)/g)]
  expect(finished.reduce((sum, [, , count]) => sum + Number(count), 0)).toBe(answers)
})

describe('pages of other sites', () => {
  const status = async (headers: Record<string, string>, of = server, path = '/tokenize') => {
    const { request } = await import('node:http')
    return new Promise<number>((resolve, reject) => {
      const { hostname, port } = new URL(of.url)
      const asked = request({ hostname, port, path, method: 'POST', headers }, (response) => {
        response.resume()
        resolve(response.statusCode!)
      })
      asked.on('error', reject)
      asked.end(JSON.stringify({ prompt: 'x' }))
    })
  }

  it('may neither ask nor read under a name of their own', async () => {
    const { host } = new URL(server.url)
    expect(await status({ origin: server.url })).toBe(200)
    expect(await status({})).toBe(200)
    for (const origin of ['https://example.org', 'null', `http://${host}.example.org`, 'http://127.0.0.1:1'])
      expect(await status({ origin }), origin).toBe(403)
    expect(await status({ host: 'localhost' })).toBe(200)
    for (const name of ['example.org', '127.0.0.1.example.org', '10.0.0.1'])
      expect(await status({ host: name }), name).toBe(403)
  })

  it('may where they are named', async () => {
    const open = await tinyServer({ corsOrigins: ['https://example.org'] }, undefined, {
      allowedHosts: ['models.example.org'],
    })
    const headers = { origin: 'https://example.org' }
    expect(await status(headers, open)).toBe(200)
    expect(await status({ ...headers, host: 'models.example.org' }, open)).toBe(200)
    expect(await status({ origin: 'https://example.com' }, open)).toBe(403)
    const asked = { ...headers, 'access-control-request-method': 'POST' }
    const before = await fetch(`${open.url}/v1/chat/completions`, { method: 'OPTIONS', headers: asked })
    expect(before.headers.get('access-control-allow-origin')).toBe('https://example.org')
    const models = await fetch(`${open.url}/v1/models`, { headers })
    expect(models.headers.get('access-control-allow-origin')).toBe('https://example.org')
    await open.stop()
  })
})
