import { setTimeout as delay } from 'node:timers/promises'
import { LONGEST_WAIT_MS, networkError, retryAfter, TunesmithError } from '@tunesmith/core'
import { HubError } from './hub-error'
import type { Connection } from './settings'

/** Statuses that pass: too many requests, and a server that is down or busy for the moment. */
const PASSING = new Set([408, 425, 429, 500, 502, 503, 504])
/** Those at which the server has not done what a POST asks for, so that asking again does not do it twice. */
const NOT_DONE = new Set([429, 503])
const BACKOFF_LIMIT_MS = 30_000
/** What is said where there is no network or no such server. */
const UNREACHABLE = new Set(['ENOTFOUND', 'EAI_AGAIN', 'ECONNREFUSED', 'ENETUNREACH', 'EHOSTUNREACH'])
/** Before a server has answered for the first time, so that no network is said within seconds. */
const FIRST_RETRIES = 2

/** How often a request that failed with an error is repeated. */
function retriesAfter(error: unknown, reached: boolean, retries: number): number {
  const { cause } = error as { cause?: { code?: string; message?: string } }
  if (cause?.message === 'redirect count exceeded' || cause?.code === 'ERR_INVALID_URL') return 0
  return reached || !UNREACHABLE.has(cause?.code ?? '') ? retries : Math.min(retries, FIRST_RETRIES)
}

/** Talks to one Hub: sends the token to it and to nobody else, and repeats what failed for a passing reason. */
export class HubClient {
  private announced = false
  private reached = false

  constructor(readonly connection: Connection) {}

  /** As `fetch`, for libraries that take one; an answer with an error status is returned, not thrown. */
  readonly fetch: typeof fetch = async (input, init) => {
    const url = input instanceof Request ? input.url : String(input)
    return this.request(url, init ?? {})
  }

  /**
   * Sends a request, again and again while it fails for a passing reason.
   *
   * @throws {TunesmithError} `network` when the server cannot be reached, `aborted`.
   */
  async request(url: string, init: RequestInit = {}, retries = this.connection.retries): Promise<Response> {
    if (this.connection.offline)
      throw networkError('The network is switched off', {
        where: url,
        remedy: 'Unset HF_HUB_OFFLINE and the option "offline" to allow it',
      })
    const post = init.method === 'POST'
    const passing = post ? NOT_DONE : PASSING
    for (let attempt = 0; ; attempt++) {
      let response: Response | undefined
      try {
        response = await this.send(url, init)
        this.reached = true
      } catch (error) {
        const most = retriesAfter(error, this.reached, retries)
        if (post || attempt >= most || this.connection.signal?.aborted) throw this.failure(error, url)
        if (attempt === 0) this.announce(error, url, most)
      }
      if (response && (!passing.has(response.status) || attempt >= retries)) return response
      const wait = response ? retryAfter(response) : undefined
      if (response && wait !== undefined && wait > LONGEST_WAIT_MS) return response
      await response?.body?.cancel().catch(() => undefined)
      await this.pause(attempt, wait)
    }
  }

  /** The first failure is reported, so that the tries after it are not silent. */
  private announce(error: unknown, url: string, retries: number): void {
    if (this.announced) return
    this.announced = true
    process.emitWarning(`${this.failure(error, url).what}; trying again, ${retries} times at most`, 'TunesmithWarning')
  }

  /** Waits before another attempt: what the server asked for, else longer each time, with a random part. */
  async pause(attempt: number, wait?: number): Promise<void> {
    const backoff = Math.min(BACKOFF_LIMIT_MS, this.connection.retryDelayMs * 2 ** attempt)
    const { signal } = this.connection
    await delay(wait ?? backoff * (0.75 + Math.random() / 2), undefined, signal ? { signal } : {}).catch((error) => {
      throw this.failure(error, '')
    })
  }

  /** A failed request as an error that says what to do. */
  failure(error: unknown, url: string): TunesmithError {
    if (error instanceof TunesmithError) return error
    if (this.connection.signal?.aborted)
      return new TunesmithError('Stopped on request', { code: 'aborted', cause: error })
    const host = URL.canParse(url) ? new URL(url).host : url
    const { message, cause } = error as Error & { cause?: { code?: string; message?: string } }
    const remedy =
      'Check the connection, the proxy and HF_ENDPOINT; with HF_HUB_OFFLINE=1 only files already in the cache are used'
    return new HubError(
      `Could not reach ${host}: ${cause?.code ?? cause?.message ?? message}`,
      { code: 'network', where: withoutQuery(url), remedy, cause: error },
      undefined,
    )
  }

  private async send(url: string, init: RequestInit): Promise<Response> {
    const { connection } = this
    const headers = new Headers(init.headers)
    // Signed addresses of a storage server are complete as they are; the token is for the Hub itself and nobody else.
    if (new URL(url).origin === new URL(connection.endpoint).origin) {
      headers.delete('authorization')
      if (connection.token) headers.set('authorization', connection.token.authorization())
    }
    if (!headers.has('user-agent')) headers.set('user-agent', 'tunesmith')
    const stop = new AbortController()
    // A request with a body is answered only once all of it has been sent, however long that takes.
    const timer = init.body
      ? undefined
      : setTimeout(() => stop.abort(new Error(`no answer within ${connection.timeoutMs} ms`)), connection.timeoutMs)
    const signals = [stop.signal, init.signal, connection.signal].filter((signal) => signal instanceof AbortSignal)
    try {
      return await connection.fetch(url, { ...init, headers, signal: AbortSignal.any(signals) })
    } finally {
      clearTimeout(timer)
    }
  }
}

/** An address for a message: signed storage addresses keep their secrets in the query. */
export function withoutQuery(url: string): string {
  return url.replace(/\?.*$/s, '')
}
