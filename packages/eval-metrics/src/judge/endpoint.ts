import { setTimeout as sleep } from 'node:timers/promises'
import {
  formatDuration,
  LONGEST_WAIT_MS,
  networkError,
  RequestError,
  requestJson,
  TunesmithError,
} from '@tunesmith/core'
import { z } from 'zod'
import type { ChatMessage } from './prompt'

export const endpointShape = {
  /** Base address of an OpenAI-compatible API, such as `http://localhost:8000/v1`. */
  endpoint: z.url(),
  model: z.string().min(1),
  apiKey: z.string().optional(),
  /** Longest reply, in tokens. Default 512. */
  maxTokens: z.int().min(1).default(512),
  requestsPerMinute: z.number().gt(0).optional(),
  /** Further tries per request. Default 4. */
  retries: z.int().min(0).default(4),
  /** Default 1000, doubling with each try. */
  retryDelayMs: z.number().min(0).default(1000),
  /** Default 120000. */
  timeoutMs: z.number().gt(0).default(120_000),
  /** For tests, proxies and logging. Default the global `fetch`. */
  fetch: z.custom<typeof globalThis.fetch>((value) => typeof value === 'function').optional(),
  signal: z.custom<AbortSignal>((value) => value instanceof AbortSignal).optional(),
}
type EndpointOptions = z.output<z.ZodObject<typeof endpointShape>> & { temperature: number }

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

/** Wrong key, wrong model, wrong address: every further request would fail alike, as with a server that asks for hours. */
const HOPELESS = new Set([401, 403, 404])

/**
 * A client for chat completions that keeps to the rate limit and tries again what may pass: connection errors, timeouts,
 * 408, 429, 5xx and an answer that is not JSON, waiting as long as the server's `Retry-After` says, five minutes at most: a server
 * that asks for more is not waited for.
 */
export function chatClient(options: EndpointOptions): (messages: ChatMessage[], seed: number) => Promise<Reply> {
  const { signal, retries, apiKey, model, temperature, maxTokens: max_tokens, timeoutMs, fetch } = options
  const url = `${options.endpoint.replace(/\/+$/, '')}/chat/completions`
  const headers: Record<string, string> = apiKey ? { authorization: `Bearer ${apiKey}` } : {}
  const waitTurn = spacer(options.requestsPerMinute, signal)
  return async (messages, seed) => {
    const body = { model, messages, temperature, max_tokens, seed }
    for (let attempt = 0; ; attempt++) {
      await waitTurn()
      try {
        const request = { name: 'The judge', headers, body, signal, timeoutMs, fetch }
        const { choices, usage } = await requestJson<ChatAnswer>(url, request)
        return {
          text: choices?.[0]?.message?.content ?? '',
          promptTokens: usage?.prompt_tokens ?? 0,
          completionTokens: usage?.completion_tokens ?? 0,
        }
      } catch (cause) {
        if (signal?.aborted) throw new TunesmithError('The judge was stopped', { code: 'aborted', where: url, cause })
        const { message, retryable, retryAfterMs, status } = cause as RequestError
        if (retryAfterMs > LONGEST_WAIT_MS)
          throw networkError(`${message}; it asks to wait ${formatDuration(retryAfterMs / 1000)}`, {
            where: url,
            remedy: 'Run again after that time; with a journal what was judged is kept',
            cause,
          })
        if (!(retryable || status === 200) || attempt >= retries) {
          const remedy = status === 0 ? 'Check that the server runs' : 'Check endpoint, model and key'
          throw networkError(message, { where: url, remedy, cause })
        }
        await pause(Math.max(retryAfterMs, options.retryDelayMs * 2 ** attempt), signal)
      }
    }
  }
}

/** True for an error after which going on is pointless. */
export function isHopeless(error: unknown): boolean {
  if (!(error instanceof TunesmithError) || error.code === 'aborted') return true
  const { cause } = error
  return cause instanceof RequestError && (HOPELESS.has(cause.status) || cause.retryAfterMs > LONGEST_WAIT_MS)
}
