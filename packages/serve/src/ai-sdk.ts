import type {
  EmbeddingModelV3,
  LanguageModelV3,
  LanguageModelV3CallOptions,
  LanguageModelV3Content,
  LanguageModelV3FinishReason,
  LanguageModelV3Message,
  LanguageModelV3StreamPart,
  LanguageModelV3Usage,
  SharedV3Warning,
} from '@ai-sdk/provider'
import { invalidOptions, TunesmithError, unsupported } from '@tunesmith/core'
import type { Hono } from 'hono'
import { serverEvents } from './server-events'

const PROVIDER = 'tunesmith'

interface ChatMessage {
  content?: string | null
  tool_calls?: { index?: number; id?: string; function: { name?: string; arguments?: string } }[]
}
interface ChatAnswer {
  id: string
  created: number
  choices: { message: ChatMessage; delta: ChatMessage; finish_reason: string | null }[]
  usage?: {
    prompt_tokens: number
    completion_tokens: number
    prompt_tokens_details?: { cached_tokens?: number }
  } | null
  error?: ApiFailure
}
interface ApiFailure {
  message: string
  code: string | null
}

/** What the app refuses, as the caller of a function is told it. */
function failure(status: number, { message, code }: ApiFailure): TunesmithError {
  const kind = status === 429 ? 'busy' : status === 404 ? 'not_found' : status < 500 ? 'invalid_options' : 'internal'
  return new TunesmithError(message, { code: kind, where: code ?? 'the model' })
}

async function ask(app: Hono, path: string, body: object, signal: AbortSignal | undefined): Promise<Response> {
  signal?.throwIfAborted()
  const response = await app.request(path, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
    ...(signal && { signal }),
  })
  if (response.ok) return response
  throw failure(response.status, ((await response.json()) as { error: ApiFailure }).error)
}

type Part = Exclude<LanguageModelV3Message['content'], string>[number]

/** The text of a message's parts; what is no text is refused, not dropped. */
function textOf(content: readonly Part[]): string {
  return content
    .map((part) => {
      if (part.type === 'text') return part.text
      // What a model thought is not shown to it again, as in the templates of models that think.
      if (part.type === 'reasoning' || part.type === 'tool-call') return ''
      throw unsupported(`A message holds a part of type "${part.type}", and the model reads text`, {
        where: 'prompt',
        remedy: 'Send text parts alone',
      })
    })
    .join('')
}

function toolResult(part: Part): object[] {
  if (part.type !== 'tool-result') return []
  const { output } = part
  const content =
    output.type === 'text' || output.type === 'error-text'
      ? output.value
      : output.type === 'execution-denied'
        ? (output.reason ?? 'The tool was not allowed to run')
        : JSON.stringify(output.value)
  return [{ role: 'tool', tool_call_id: part.toolCallId, content }]
}

function messagesOf(message: LanguageModelV3Message): object[] {
  if (message.role === 'system') return [{ role: 'system', content: message.content }]
  if (message.role === 'tool') return (message.content as Part[]).flatMap(toolResult)
  const content = textOf(message.content as Part[])
  const calls = (message.content as Part[]).flatMap((part) =>
    part.type === 'tool-call'
      ? [
          {
            id: part.toolCallId,
            type: 'function',
            function: { name: part.toolName, arguments: JSON.stringify(part.input) },
          },
        ]
      : [],
  )
  return [{ role: message.role, content, ...(calls.length > 0 && { tool_calls: calls }) }]
}

function formatOf(format: LanguageModelV3CallOptions['responseFormat']) {
  if (format?.type !== 'json') return {}
  const { schema, name = 'answer', description } = format
  if (!schema) return { response_format: { type: 'json_object' } }
  const json_schema = { name, schema, strict: true, ...(description !== undefined && { description }) }
  return { response_format: { type: 'json_schema', json_schema } }
}

function toolsOf({ tools, toolChoice }: LanguageModelV3CallOptions) {
  if (!tools || tools.length === 0) return {}
  const functions = tools.map((tool) => {
    if (tool.type !== 'function')
      throw unsupported(`The tool "${tool.name}" runs at a provider`, {
        where: 'tools',
        remedy: 'Give tools as functions',
      })
    const { name, description, inputSchema: parameters } = tool
    return { type: 'function', function: { name, ...(description !== undefined && { description }), parameters } }
  })
  const choice =
    toolChoice?.type === 'tool' ? { type: 'function', function: { name: toolChoice.toolName } } : toolChoice?.type
  return { tools: functions, ...(choice && { tool_choice: choice }) }
}

/** The call as a chat request; `providerOptions.tunesmith` are further fields of it. */
function requestOf(model: string, options: LanguageModelV3CallOptions) {
  const { prompt, maxOutputTokens, temperature, topP, topK, stopSequences, seed } = options
  return {
    model,
    messages: prompt.flatMap(messagesOf),
    max_tokens: maxOutputTokens,
    temperature,
    top_p: topP,
    top_k: topK,
    stop: stopSequences && stopSequences.length > 0 ? stopSequences : undefined,
    presence_penalty: options.presencePenalty,
    frequency_penalty: options.frequencyPenalty,
    seed,
    ...formatOf(options.responseFormat),
    ...toolsOf(options),
    ...options.providerOptions?.[PROVIDER],
  }
}

const FINISHES = new Map<string | undefined, LanguageModelV3FinishReason['unified']>([
  ['stop', 'stop'],
  ['length', 'length'],
  ['tool_calls', 'tool-calls'],
])
const finishOf = (raw: string | undefined): LanguageModelV3FinishReason => ({
  unified: FINISHES.get(raw) ?? 'other',
  raw,
})

function usageOf(usage: ChatAnswer['usage']): LanguageModelV3Usage {
  const cached = usage?.prompt_tokens_details?.cached_tokens
  const prompt = usage?.prompt_tokens
  return {
    inputTokens: {
      total: prompt,
      noCache: prompt === undefined || cached === undefined ? undefined : prompt - cached,
      cacheRead: cached,
      cacheWrite: undefined,
    },
    outputTokens: { total: usage?.completion_tokens, text: usage?.completion_tokens, reasoning: undefined },
  }
}

const metadataOf = ({ id, created }: ChatAnswer, modelId: string) => ({
  id,
  timestamp: new Date(created * 1000),
  modelId,
})
const warnings: SharedV3Warning[] = []

/** The parts of the AI SDK's stream, from the chunks of ours. */
async function* streamParts(response: Response, modelId: string): AsyncGenerator<LanguageModelV3StreamPart> {
  yield { type: 'stream-start', warnings }
  let begun = false
  let writing = false
  let finish: string | undefined
  let usage: ChatAnswer['usage']
  const calls: { id: string; name: string; input: string }[] = []
  const endOfText = function* (): Generator<LanguageModelV3StreamPart> {
    if (writing) yield { type: 'text-end', id: '0' }
    writing = false
  }
  for await (const chunk of serverEvents<ChatAnswer>(response)) {
    if (chunk.error) throw failure(500, chunk.error)
    if (!begun) yield { type: 'response-metadata', ...metadataOf(chunk, modelId) }
    begun = true
    usage = chunk.usage ?? usage
    const [choice] = chunk.choices
    if (!choice) continue
    if (choice.delta.content) {
      if (!writing) yield { type: 'text-start', id: '0' }
      writing = true
      yield { type: 'text-delta', id: '0', delta: choice.delta.content }
    }
    for (const { index = 0, id, function: of } of choice.delta.tool_calls ?? []) {
      let call = calls[index]
      if (!call) {
        yield* endOfText()
        call = { id: id ?? `call-${index}`, name: of.name ?? '', input: '' }
        calls[index] = call
        yield { type: 'tool-input-start', id: call.id, toolName: call.name }
      }
      if (!of.arguments) continue
      call.input += of.arguments
      yield { type: 'tool-input-delta', id: call.id, delta: of.arguments }
    }
    finish = choice.finish_reason ?? finish
  }
  yield* endOfText()
  for (const { id, name, input } of calls) {
    yield { type: 'tool-input-end', id }
    yield { type: 'tool-call', toolCallId: id, toolName: name, input }
  }
  yield { type: 'finish', finishReason: finishOf(finish), usage: usageOf(usage) }
}

function readable<Value>(values: AsyncGenerator<Value>): ReadableStream<Value> {
  return new ReadableStream<Value>({
    async pull(controller) {
      const { value, done } = await values.next()
      if (done) controller.close()
      else controller.enqueue(value)
    },
    async cancel() {
      await values.return(undefined)
    },
  })
}

const checkApp = (app: Hono) => {
  if (typeof app?.request === 'function') return
  throw invalidOptions('This is no app', { where: 'toAISDKModel', remedy: 'Pass what createApp returned' })
}

/**
 * A model of an app for the AI SDK 6 and 7 (`generateText`, `streamText`, `generateObject`, tools), in this process, without a socket.
 *
 * @param app of {@link createApp}, without `apiKeys`.
 * @param modelId the model's name, or an adapter's.
 */
export function toAISDKModel(app: Hono, modelId: string): LanguageModelV3 {
  checkApp(app)
  const path = '/v1/chat/completions'
  return {
    specificationVersion: 'v3',
    provider: PROVIDER,
    modelId,
    supportedUrls: {},
    async doGenerate(options) {
      const body = requestOf(modelId, options)
      const answer = (await (await ask(app, path, body, options.abortSignal)).json()) as ChatAnswer
      const { message, finish_reason } = answer.choices[0]!
      const content: LanguageModelV3Content[] = [
        ...(message.content ? [{ type: 'text' as const, text: message.content }] : []),
        ...(message.tool_calls ?? []).map(({ id, function: of }, index) => ({
          type: 'tool-call' as const,
          toolCallId: id ?? `call-${index}`,
          toolName: of.name ?? '',
          input: of.arguments ?? '{}',
        })),
      ]
      return {
        content,
        finishReason: finishOf(finish_reason ?? undefined),
        usage: usageOf(answer.usage),
        request: { body },
        response: metadataOf(answer, modelId),
        warnings,
      }
    },
    async doStream(options) {
      const body = { ...requestOf(modelId, options), stream: true, stream_options: { include_usage: true } }
      const response = await ask(app, path, body, options.abortSignal)
      return { stream: readable(streamParts(response, modelId)), request: { body } }
    },
  }
}

/** An app's embeddings for the AI SDK's `embed` and `embedMany`. See {@link toAISDKModel}. */
export function toAISDKEmbeddingModel(app: Hono, modelId: string): EmbeddingModelV3 {
  checkApp(app)
  return {
    specificationVersion: 'v3',
    provider: PROVIDER,
    modelId,
    maxEmbeddingsPerCall: 2048,
    supportsParallelCalls: true,
    async doEmbed({ values, abortSignal }) {
      const body = { model: modelId, input: values }
      const made = (await (await ask(app, '/v1/embeddings', body, abortSignal)).json()) as {
        data: { embedding: number[] }[]
        usage: { prompt_tokens: number }
      }
      return {
        embeddings: made.data.map(({ embedding }) => embedding),
        usage: { tokens: made.usage.prompt_tokens },
        warnings,
      }
    },
  }
}
