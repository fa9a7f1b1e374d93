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

/** One try may take so long. */
const TIMEOUT_MS = 20_000

export interface RequestOptions {
  headers: Record<string, string>
  /** Sent as JSON with POST; without it, the request is a GET. */
  body?: unknown
  signal: AbortSignal
}

/**
 * One request with a JSON answer.
 *
 * @throws {RequestError} whose message never holds headers or the query, where keys are.
 */
export async function requestJson<Answer>(url: string, { headers, body, signal }: RequestOptions): Promise<Answer> {
  const { origin, pathname } = new URL(url)
  const place = origin + pathname
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
      signal: AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]),
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
  try {
    return JSON.parse(text || '{}') as Answer
  } catch {
    throw new RequestError(`${place} answered something that is not JSON`, false, 0, status)
  }
}

/** The beginning of what the server said. */
function excerpt(text: string): string {
  const line = text
    .replace(/<[^>]*>/g, ' ')
    .replace(/\s+/g, ' ')
    .trim()
  return line === '' ? '' : `: ${line.slice(0, 200)}`
}

/** JSON has no such numbers; services read them as the words `NaN`, `Infinity` and `-Infinity`, as in protobuf's JSON. */
export const jsonNumber = (value: number): number | string => (Number.isFinite(value) ? value : String(value))
