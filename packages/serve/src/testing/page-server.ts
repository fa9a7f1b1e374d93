import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { selectBackend } from '@tunesmith/backend'
import { createModel, Engine } from '@tunesmith/models'
import { engineAdapters, getPeftModel, PeftModel, savePeftModel } from '@tunesmith/peft-lora'
import { chatTemplates, Tokenizer } from '@tunesmith/tokenization'
import { Hono } from 'hono'
import { createApp, type Grounding } from '../app'
import { startServer } from '../server'
import { eventStream } from '../sse'
import { SCRIPTS } from './scripted-answers'

const config = {
  model_type: 'llama',
  vocab_size: 330,
  hidden_size: 32,
  intermediate_size: 64,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  max_position_embeddings: 512,
  eos_token_id: 2,
  initializer_range: 0.4,
}

interface Asked {
  model: string
  messages: { role: string; content: string }[]
  [field: string]: unknown
}

export interface PageServerOptions {
  apiKeys?: string[]
  notice?: string
  /** A port to come back on. Default a free one. */
  port?: number
}

/** A question that begins with `grounded` gets sources, and so many tokens more of instructions that a long chat no longer fits. */
const ground: Grounding = async (messages) => {
  const last = messages.at(-1)!
  if (!String(last.content).startsWith('grounded')) return { messages: [...messages], sources: [] }
  return {
    messages: [{ role: 'system', content: 'Cite. '.repeat(20) }, ...messages],
    sources: [{ number: 1, document: 'd', source: 'notes/colds.md', text: 'Warmth helps.' }],
  }
}

/** A connection that ends in mid-answer. */
function brokenStream(): Response {
  const data = JSON.stringify({ choices: [{ index: 0, delta: { content: 'It began, ' }, finish_reason: null }] })
  const body = new ReadableStream({
    start: (controller) => controller.enqueue(new TextEncoder().encode(`data: ${data}\n\n`)),
    pull: (controller) => new Promise((resolve) => setTimeout(resolve, 100)).then(() => controller.close()),
  })
  return new Response(body, { headers: { 'content-type': 'text/event-stream' } })
}

/** A server with the page, a model of random weights named `tiny`, its adapter `tuned`, and the answers of {@link SCRIPTS}. */
export async function startPageServer({ port = 0, ...options }: PageServerOptions = {}) {
  await selectBackend()
  const folder = await mkdtemp(join(tmpdir(), 'tunesmith-page-'))
  const tokenizer = await Tokenizer.fromPretrained(
    fileURLToPath(new URL('../../../models/src/fixtures/tokenizers/byte-level', import.meta.url)),
  )
  tokenizer.chatTemplates.default = chatTemplates.chatml
  const model = createModel(config, { seed: 4 })
  const made = getPeftModel(model, { r: 4, targetModules: 'all-linear', initLoraWeights: false })
  await savePeftModel(made, folder)
  made.unload()
  const adapters = engineAdapters(new PeftModel(model))
  const engine = new Engine(model, { cacheTokens: 4096, maxRunning: 4, maxWaiting: 8 }, adapters)
  await engine.loadAdapter('tuned', folder)
  const real = createApp({ engine, tokenizer, modelName: 'tiny', adapters: adapters.names, ground, ...options })

  /** Bodies of the chats that were asked for. */
  const asked: Asked[] = []
  /** Scripted streams that were not read to their end. */
  let left = 0
  const app = new Hono()
  app.post('/v1/chat/completions', async (c, next) => {
    const body = (await c.req.raw.clone().json()) as Asked
    asked.push(body)
    const word = body.messages.at(-1)!.content.split(' ', 1)[0]
    if (word === 'busy')
      return c.json(
        { error: { message: 'The queue is full', type: 'rate_limit_error', code: 'busy', param: null } },
        429,
      )
    if (word === 'cut') return brokenStream()
    const script = SCRIPTS[word]
    if (!script) return next()
    const chunks = async function* () {
      let whole = false
      try {
        yield* script(word)
        whole = true
      } finally {
        if (!whole) left++
      }
    }
    return eventStream(chunks(), console.error)
  })
  app.all('*', ({ req }) => real.fetch(req.raw))
  const server = await startServer(app, engine, { port })
  return {
    url: server.url,
    asked,
    left: () => left,
    async close() {
      await server.close(0)
      await rm(folder, { recursive: true })
    },
  }
}
export type PageServer = Awaited<ReturnType<typeof startPageServer>>
