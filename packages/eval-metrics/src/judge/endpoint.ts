import { setTimeout as sleep } from 'node:timers/promises'
import { TunesmithError } from '@tunesmith/core'
import type { ChatMessage } from './prompt'

export interface EndpointOptions {
  /** Base of an OpenAI-compatible API, such as `http://localhost:8000/v1`. */
  endpoint: string
  model: string
  apiKey?: string
  temperature: number
  maxTokens: number
  fetch: typeof globalThis.fetch
  retries: number
  /** Wait before the first retry; doubles with every further one. */
  retryDelayMs: number
  timeoutMs: number
  requestsPerMinute?: number
  signal?: AbortSignal
}

export interface Reply {
  text: string
  promptTokens: number
  completionTokens: number
}

/** Starts at most so many requests a minute, evenly spaced, however many wait. */
function spacer(requestsPerMinute: number | undefined, signal: AbortSignal | undefined): () => Promise<void> {
  let next = 0
  return async () => {
    if (!requestsPerMinute) return
    const start = Math.max(performance.now(), next)
    next = start + 60_000 / requestsPerMinute
    await pause(start - performance.now(), signal)
  }
}

async function pause(milliseconds: number, signal: AbortSignal | undefined): Promise<void> {
  if (milliseconds <= 0) return
  await sleep(milliseconds, undefined, { signal }).catch((cause: unknown) => {
    throw new TunesmithError('The judge was stopped', { code: 'aborted', where: 'judgePairs', cause })
  })
}

interface ChatAnswer {
  choices?: { message?: { content?: string | null } }[]
  usage?: { prompt_tokens?: number; completion_tokens?: number }
}

/** Wrong key, wrong model, wrong address: every further request would fail alike. */
const HOPELESS = new Set([401, 403, 404])

/**
 * A client for chat completions that keeps to the rate limit and tries again what may pass: connection errors, timeouts,
 * 408, 429 and 5xx, waiting as long as the server's `Retry-After` says.
 */
export function chatClient(options: EndpointOptions): (messages: ChatMessage[], seed: number) => Promise<Reply> {
  const { signal, retries } = options
  const url = `${options.endpoint.replace(/\/+$/, '')}/chat/completions`
  const waitTurn = spacer(options.requestsPerMinute, signal)
  const fail = (what: string, remedy?: string, cause?: unknown) =>
    new TunesmithError(what, { code: 'network', where: url, remedy, cause })

  async function once(
    messages: ChatMessage[],
    seed: number,
  ): Promise<Reply | { error: TunesmithError; after: number }> {
    const { model, temperature, maxTokens, apiKey, timeoutMs } = options
    const timeout = AbortSignal.timeout(timeoutMs)
    let response: Response
    let body: string
    try {
      response = await options.fetch(url, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...(apiKey && { authorization: `Bearer ${apiKey}` }) },
        body: JSON.stringify({ model, messages, temperature, max_tokens: maxTokens, seed }),
        signal: signal ? AbortSignal.any([signal, timeout]) : timeout,
      })
      body = await response.text()
    } catch (cause) {
      if (signal?.aborted) throw new TunesmithError('The judge was stopped', { code: 'aborted', where: url, cause })
      const reason = timeout.aborted ? `no answer within ${timeoutMs} ms` : (cause as Error).message
      return { error: fail(`The judge cannot be reached: ${reason}`, 'Check that the server runs', cause), after: 0 }
    }
    if (!response.ok) {
      const error = fail(
        `The judge answered ${response.status}: ${body.slice(0, 200)}`,
        'Check endpoint, model and key',
      )
      const passing = response.status === 408 || response.status === 429 || response.status >= 500
      if (!passing) throw error
      const after = Number(response.headers.get('retry-after'))
      return { error, after: Number.isFinite(after) ? after * 1000 : 0 }
    }
    let answer: ChatAnswer
    try {
      answer = JSON.parse(body) as ChatAnswer
    } catch (cause) {
      return { error: fail(`The judge's answer is not JSON: ${body.slice(0, 80)}`, undefined, cause), after: 0 }
    }
    return {
      text: answer.choices?.[0]?.message?.content ?? '',
      promptTokens: answer.usage?.prompt_tokens ?? 0,
      completionTokens: answer.usage?.completion_tokens ?? 0,
    }
  }

  return async (messages, seed) => {
    for (let attempt = 0; ; attempt++) {
      await waitTurn()
      const result = await once(messages, seed)
      if (!('error' in result)) return result
      if (attempt >= retries) throw result.error
      await pause(Math.max(result.after, options.retryDelayMs * 2 ** attempt), signal)
    }
  }
}

/** True for an error after which going on is pointless. */
export function isHopeless(error: unknown): boolean {
  if (!(error instanceof TunesmithError)) return true
  if (error.code === 'aborted') return true
  const status = Number(/answered (\d{3})/.exec(error.message)?.[1])
  return HOPELESS.has(status)
}
