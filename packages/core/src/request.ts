import { shown } from './errors'
import { redactSecrets, rememberSecret } from './secrets'

/** A server that asks for a longer wait than this, five minutes, is not waited for. */
export const LONGEST_WAIT_MS = 5 * 60_000

/** A request that failed, and whether the next try may succeed. */
export class RequestError extends Error {
  constructor(
    message: string,
    readonly retryable: boolean,
    /** What the server asked to wait. */
    readonly retryAfterMs = 0,
    readonly status = 0,
  ) {
    super(shown(message))
  }
}

export interface RequestOptions {
  headers: Record<string, string>
  /** Sent as JSON with POST; without it, the request is a GET. */
  body?: unknown
  signal?: AbortSignal | undefined
  /** What errors call the server. Default its address, without the query. */
  name?: string
  /** One try may take so long. Default 20,000. */
  timeoutMs?: number
  /** Default the global `fetch`. */
  fetch?: typeof globalThis.fetch
}

/** Milliseconds a server asks to wait: `Retry-After` in seconds or as a date, or the reset of `RateLimit`. */
export function retryAfter({ headers }: Response): number | undefined {
  const value = headers.get('retry-after')?.trim()
  if (value && /^\d+(\.\d+)?$/.test(value)) return Number(value) * 1000
  if (value && !Number.isNaN(Date.parse(value))) return Math.max(0, Date.parse(value) - Date.now())
  const reset = /;\s*r\s*=\s*0\s*;\s*t\s*=\s*(\d+)/.exec(headers.get('ratelimit') ?? '')?.[1]
  return reset === undefined ? undefined : Number(reset) * 1000
}

/**
 * One request with a JSON answer.
 *
 * @throws {RequestError} whose message never holds headers or the query, where keys are.
 */
export async function requestJson<Answer>(url: string, options: RequestOptions): Promise<Answer> {
  const { origin, pathname } = new URL(url)
  const {
    headers,
    body,
    signal,
    name: place = origin + pathname,
    timeoutMs = 20_000,
    fetch = globalThis.fetch,
  } = options
  for (const [header, value] of Object.entries(headers))
    if (/authorization|token|key/i.test(header)) rememberSecret(value.replace(/^(Bearer|Basic) /, ''))
  const timeout = AbortSignal.timeout(timeoutMs)
  let response: Response
  let text: string
  try {
    response = await fetch(url, {
      method: body === undefined ? 'GET' : 'POST',
      headers: {
        accept: 'application/json',
        ...(body !== undefined && { 'content-type': 'application/json' }),
        ...headers,
      },
      body: JSON.stringify(body),
      signal: signal ? AbortSignal.any([signal, timeout]) : timeout,
    })
    text = await response.text()
  } catch (error) {
    const { cause, message } = error as Error & { cause?: { code?: string } }
    const reason = timeout.aborted ? `no answer within ${timeoutMs} ms` : (cause?.code ?? message)
    throw new RequestError(`${place} cannot be reached: ${reason}`, true)
  }
  const { status } = response
  if (!response.ok) {
    const retryable = status === 408 || status === 429 || status >= 500
    throw new RequestError(`${place} answered ${status}${excerpt(text)}`, retryable, retryAfter(response), status)
  }
  try {
    return JSON.parse(text || '{}') as Answer
  } catch {
    throw new RequestError(`${place} answered something that is not JSON`, false, 0, status)
  }
}

/** The beginning of what the server said. */
function excerpt(text: string): string {
  // Before the cut, which could leave a part of a key.
  const line = redactSecrets(text)
    .replace(/<[^>]*>/g, ' ')
    .replace(/\s+/g, ' ')
    .trim()
  return line === '' ? '' : `: ${line.slice(0, 200)}`
}
