/** A request that failed, and whether the next try may succeed. */
export class RequestError extends Error {
  constructor(
    message: string,
    readonly retryable: boolean,
    /** What the server asked to wait. */
    readonly retryAfterMs = 0,
    readonly status = 0,
  ) {
    super(message)
  }
}

export interface RequestOptions {
  method?: 'GET' | 'POST'
  headers?: Record<string, string>
  body?: unknown
  signal: AbortSignal
  fetch: typeof fetch
  /** One try may take so long. Default 20,000 ms. */
  timeoutMs?: number
}

/**
 * One request with a JSON answer.
 *
 * @throws {RequestError} whose message never holds headers or the query, where keys are.
 */
export async function requestJson(url: string, options: RequestOptions): Promise<unknown> {
  const { method = 'POST', headers = {}, body, signal, timeoutMs = 20_000 } = options
  const place = withoutQuery(url)
  let response: Response
  let text: string
  try {
    response = await options.fetch(url, {
      method,
      headers: {
        accept: 'application/json',
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]),
    })
    text = await response.text()
  } catch (error) {
    const { cause, name, message } = error as Error & { cause?: { code?: string } }
    const reason = name === 'TimeoutError' ? 'no answer in time' : (cause?.code ?? message)
    throw new RequestError(`${place} cannot be reached: ${reason}`, true)
  }
  const { status } = response
  if (!response.ok) {
    const retryable = status === 408 || status === 429 || status >= 500
    const wait = Number(response.headers.get('retry-after'))
    throw new RequestError(`${place} answered ${status}${excerpt(text)}`, retryable, wait > 0 ? wait * 1000 : 0, status)
  }
  if (text === '') return {}
  try {
    return JSON.parse(text)
  } catch {
    throw new RequestError(`${place} answered something that is not JSON`, false, 0, status)
  }
}

function withoutQuery(url: string): string {
  const { origin, pathname } = new URL(url)
  return origin + pathname
}

/** The beginning of what the server said. */
function excerpt(text: string): string {
  const line = text
    .replace(/<[^>]*>/g, ' ')
    .replace(/\s+/g, ' ')
    .trim()
  return line === '' ? '' : `: ${line.slice(0, 200)}`
}

/** JSON has no such numbers; services read them as these words, as protobuf's JSON has it. */
export const jsonNumber = (value: number): number | string =>
  Number.isFinite(value) ? value : Number.isNaN(value) ? 'NaN' : value > 0 ? 'Infinity' : '-Infinity'
