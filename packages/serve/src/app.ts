import { createHash, timingSafeEqual } from 'node:crypto'
import { type Message, parseOptions } from '@tunesmith/core'
import type { Engine } from '@tunesmith/models'
import type { Tokenizer } from '@tunesmith/tokenization'
import { type Context, Hono } from 'hono'
import { z } from 'zod'
import { addAdapterRoutes } from './adapter-routes'
import { seconds } from './answers'
import { chatAnswer, chatChunks, chatRequests, chatTokens, messageOf } from './chat'
import { completionAnswer, completionChunks, completionRequests } from './completions'
import { embeddingSchema, embeddings } from './embeddings'
import { badRequest, errorBody, notFoundError, notReady, toApiError, tooLarge, unauthorized } from './errors'
import { Metrics } from './metrics'
import { fromOtherSites } from './other-sites'
import { addPage, DEFAULT_NOTICE } from './page'
import { type ChatRequest, chatSchema, completionSchema, detokenizeSchema, readBody, tokenizeSchema } from './requests'
import { responseChat, responseEvents, responseSchema, wholeResponse } from './responses'
import { type EventForm, eventStream } from './sse'
import { Grammars } from './structured/grammars'
import { heldToFormat } from './structured/held-to-format'
import { Tools } from './structured/tools'

const appSchema = z.strictObject({
  /** What clients call the model without an adapter. */
  modelName: z.string().min(1),
  /** The keys of which a client must send one as a bearer token. Default none: everybody may ask. */
  apiKeys: z.array(z.string().min(1)).default([]),
  /** Sites whose pages may ask, like `https://example.org`. Default none but the server's own page. */
  corsOrigins: z.array(z.url()).default([]),
  /** What the chat page tells its readers under the message field. Default: that answers are written by a machine and can be wrong. */
  notice: z.string().default(DEFAULT_NOTICE),
  /** Lets clients load adapters from inside this folder, and unload any. Default: they may not. */
  adapterDir: z.string().min(1).optional(),
  /** Bytes of a request at most. Default 4 MiB. */
  bodyLimit: z
    .number()
    .int()
    .positive()
    .default(4 * 2 ** 20),
})

export interface AppOptions extends z.input<typeof appSchema> {
  engine: Engine
  tokenizer: Tokenizer
  /** Names of the adapters; each is a model of its own. Default none. */
  adapters?: () => readonly string[]
  /** Puts what the answer shall rest on into a chat, see {@link Grounding}. Default: chats go to the model as they are. */
  ground?: Grounding
  /** Gets what went wrong and was not the client's mistake; never a prompt. Default: the console. */
  onError?: (error: unknown) => void
}

/**
 * A chat with sources in it, of `maxTokens` at most where that can be; `sources` go to the client beside the answer, in a stream with its first chunk.
 */
export type Grounding = (
  messages: readonly Message[],
  maxTokens: number,
) => Promise<{ messages: Message[]; sources: readonly object[] }>

const digest = (text: string) => createHash('sha256').update(text).digest()

/**
 * OpenAI's API over an engine, as a Hono app: `fetch` it without a socket, or serve it with {@link startServer}.
 *
 * `/v1/models`, `/v1/chat/completions`, `/v1/completions` and `/v1/responses` (also streamed), `/v1/embeddings`, `/tokenize`, `/detokenize`, `/health` and `/metrics`. A field that is
 * unknown or asks for what is not here is refused by name; nothing is cut to fit. The chat page is at `/`.
 */
export function createApp({
  engine,
  tokenizer,
  adapters = () => [],
  ground,
  onError = console.error,
  ...rest
}: AppOptions): Hono {
  const options = parseOptions(appSchema, rest, 'createApp')
  const keys = options.apiKeys.map(digest)
  const started = seconds()
  const app = new Hono()
  addPage(app, { title: options.modelName, notice: options.notice })

  app.use(fromOtherSites(options.corsOrigins))
  app.use(async ({ req }, next) => {
    if (keys.length > 0 && req.path !== '/health') {
      const given = digest(/^Bearer (.+)$/i.exec(req.header('authorization') ?? '')?.[1] ?? '')
      // All are compared, in constant time each.
      const known = keys.filter((key) => timingSafeEqual(key, given)).length > 0
      if (!known) throw unauthorized('The API key is missing or not one of this server', 'invalid_api_key')
    }
    await next()
  })
  app.onError((error, context) => {
    const api = toApiError(error)
    if (api.status === 500) onError(error)
    if (api.status === 429) context.header('retry-after', '1')
    return context.json(errorBody(api), api.status)
  })
  app.notFound((context) => {
    const { api } = notFoundError(`There is no ${context.req.method} ${context.req.path}`, 'unknown_url')
    return context.json(errorBody(api), api.status)
  })

  const bodyOf = async ({ req }: Context): Promise<unknown> => {
    const bytes = await readLimited(req.raw, options.bodyLimit)
    try {
      return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
    } catch {
      throw badRequest('The body is no JSON in UTF-8', 'invalid_json')
    }
  }
  /** The adapter that a model's name stands for; undefined for none. */
  const adapterOf = (name: string): string | undefined => {
    if (name === options.modelName) return undefined
    if (adapters().includes(name)) return name
    const all = [options.modelName, ...adapters()].join(', ')
    throw notFoundError(`There is no model ${JSON.stringify(name)}; there are: ${all}`, 'model_not_found', 'model')
  }
  const context = engine.model.config.maxPositionEmbeddings
  const metrics = new Metrics(engine)
  const measured = metrics.measured()
  const grammars = new Grammars(engine.model, tokenizer)

  const modelOf = (id: string) => ({
    id,
    object: 'model',
    created: started,
    owned_by: 'tunesmith',
    max_model_len: context,
    parent: id === options.modelName ? null : options.modelName,
  })
  app.get('/v1/models', (c) => c.json({ object: 'list', data: [options.modelName, ...adapters()].map(modelOf) }))
  app.get('/v1/models/:id{.+}', (c) => {
    const id = c.req.param('id')
    adapterOf(id)
    return c.json(modelOf(id))
  })

  const streamed = async (chunks: AsyncGenerator<unknown>, form?: EventForm): Promise<Response> => {
    // What is refused has a status: nothing is sent before the first chunk is there.
    const first = await chunks.next()
    const all = async function* () {
      try {
        if (!first.done) yield first.value
        yield* chunks
      } finally {
        await chunks.return(undefined)
      }
    }
    return eventStream(all(), onError, form)
  }
  /** A chat with the sources that it is grounded in, as the engine is asked for it. */
  const chatOf = async (c: Context, request: Omit<ChatRequest, 'messages'> & { messages: Message[] }) => {
    const adapter = adapterOf(request.model)
    const answerTokens = request.max_completion_tokens ?? request.max_tokens ?? Math.min(512, context / 4)
    const { messages, sources } = ground
      ? await ground(request.messages, context - answerTokens)
      : { messages: request.messages, sources: undefined }
    const tools = Tools.of(request, tokenizer)
    const { asked, usage } = chatRequests(tokenizer, { ...request, messages }, context, adapter, tools)
    const held = await heldToFormat(cancelledBy(asked, c), request, grammars, tools)
    const answering = { engine: measured, tokenizer, asked: held, usage, model: request.model, tools }
    return { answering, beside: sources && { sources } }
  }
  app.post('/v1/chat/completions', async (c) => {
    const request = readBody(chatSchema, await bodyOf(c))
    const { answering, beside } = await chatOf(c, { ...request, messages: request.messages.map(messageOf) })
    if (!request.stream) return c.json({ ...(await chatAnswer(answering)), ...beside })
    return streamed(chatChunks(answering, request.stream_options?.include_usage ?? false, beside))
  })
  app.post('/v1/responses', async (c) => {
    const request = readBody(responseSchema, await bodyOf(c))
    const { answering, beside } = await chatOf(c, responseChat(request))
    if (!request.stream) return c.json(await wholeResponse(answering, request, beside))
    return streamed(responseEvents(answering, request, beside), { named: true })
  })
  app.post('/v1/completions', async (c) => {
    const request = readBody(completionSchema, await bodyOf(c))
    const { asked, usage } = completionRequests(tokenizer, request, context, adapterOf(request.model))
    const answering = { engine: measured, tokenizer, asked: cancelledBy(asked, c), usage, model: request.model }
    if (!request.stream) return c.json(await completionAnswer(answering))
    return streamed(completionChunks(answering, request.stream_options?.include_usage ?? false))
  })
  app.post('/v1/embeddings', async (c) => {
    const request = readBody(embeddingSchema, await bodyOf(c))
    return c.json(await embeddings(engine.model, tokenizer, request, adapterOf(request.model)))
  })
  if (options.adapterDir !== undefined) {
    const { adapterDir, modelName } = options
    addAdapterRoutes(app, { engine, adapterDir, modelName, names: adapters, bodyOf })
  }

  app.post('/tokenize', async (c) => {
    const body = await bodyOf(c)
    const request = readBody(tokenizeSchema(body), body)
    const tokens =
      'messages' in request
        ? chatTokens(tokenizer, request.messages.map(messageOf), request.add_generation_prompt)
        : tokenizer.encode(request.prompt, { addSpecialTokens: request.add_special_tokens }).ids
    return c.json({ tokens, count: tokens.length, max_model_len: context })
  })
  app.post('/detokenize', async (c) => {
    const { tokens } = readBody(detokenizeSchema, await bodyOf(c))
    return c.json({ prompt: tokenizer.decode(tokens, { skipSpecialTokens: false }) })
  })
  app.get('/health', (c) => {
    if (engine.closed) throw notReady('The server is about to stop', 'stopping')
    return c.json({ status: 'ok' })
  })
  app.get('/metrics', async (c) => {
    const { body, type } = await metrics.text()
    return c.text(body, 200, { 'content-type': type })
  })
  return app
}

/** How many times the limit is read and thrown away, so that the client hears of it: one that is still writing sees a broken connection. */
const DISCARDED = 16

async function readLimited({ body }: Request, limit: number): Promise<Uint8Array> {
  const parts: Uint8Array[] = []
  let size = 0
  try {
    // Leaving the loop early ends the connection.
    for await (const part of body ?? []) {
      size += part.length
      if (size <= limit) parts.push(part)
      else if (size > DISCARDED * limit) break
    }
  } catch {
    throw badRequest('The body broke off', 'invalid_json')
  }
  if (size > limit) throw tooLarge(`A request may have ${limit} bytes`, 'request_too_large')
  return Buffer.concat(parts)
}

/** The same requests, cancelled when the client goes away. */
const cancelledBy = <One extends { request: object }>(asked: readonly One[], { req }: Context): One[] =>
  asked.map((one) => ({ ...one, request: { ...one.request, signal: req.raw.signal } }))
