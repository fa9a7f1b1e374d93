import type { End, Message } from './conversation'
import { eventData } from './events'

export interface Model {
  id: string
  /** The model that an adapter sits on; null of the model itself. */
  parent: string | null
  /** Tokens that it reads, the answer included. */
  max_model_len: number
}

/** Of the model's own settings those that are left open hold. */
export interface Sampling {
  temperature?: number
  top_p?: number
  top_k?: number
  max_tokens?: number
  seed?: number
}

export interface Piece {
  text?: string
  end?: End
  /** As the server has them. */
  sources?: unknown
}

/** The server said no, or could not be asked (`status` 0). */
export class Refused extends Error {
  constructor(
    readonly status: number,
    message: string,
    /** Of OpenAI's error. */
    readonly code?: string,
  ) {
    super(message)
  }
}

const SOON_MS = 300

/** Fetch rejects with a TypeError where nobody answers; being stopped is another matter. */
async function unreachable(error: unknown): Promise<never> {
  if (!(error instanceof TypeError)) throw error
  // A page that is being left hears the same, and must not have it written down: after this pause it is gone.
  await new Promise((resolve) => setTimeout(resolve, SOON_MS))
  throw new Refused(0, 'The server does not answer. Is it still running?')
}

/** OpenAI's API of the server that the page came from. */
export class Api {
  /** Sent as a bearer token where it is set. */
  key = ''

  async models(): Promise<Model[]> {
    const { data } = await (await this.#ask('v1/models')).json()
    return data
  }

  /** Tokens of a chat in the model's template; without end where it is more than the server takes at once. */
  async count(model: string, messages: Message[], signal: AbortSignal): Promise<number> {
    try {
      const { count } = await (await this.#ask('tokenize', { model, messages }, signal)).json()
      return count
    } catch (error) {
      if (error instanceof Refused && error.status === 413) return Number.POSITIVE_INFINITY
      throw error
    }
  }

  async *chat(model: string, messages: Message[], sampling: Sampling, signal: AbortSignal): AsyncGenerator<Piece> {
    const { body } = await this.#ask('v1/chat/completions', { model, messages, ...sampling, stream: true }, signal)
    let ended = false
    try {
      for await (const data of eventData(body!)) {
        if (data === '[DONE]') return
        const { error, choices: [choice] = [], sources } = JSON.parse(data)
        if (error) throw new Refused(500, error.message)
        if (sources) yield { sources }
        if (choice?.delta?.content) yield { text: choice.delta.content }
        if (choice?.finish_reason) {
          ended = true
          yield { end: choice.finish_reason === 'length' ? 'length' : 'stop' }
        }
      }
    } catch (error) {
      await unreachable(error)
    }
    if (!ended) throw new Refused(0, 'The connection ended in mid-answer.')
  }

  async #ask(path: string, body?: object, signal?: AbortSignal): Promise<Response> {
    const headers: Record<string, string> = { 'content-type': 'application/json' }
    if (this.key) headers.authorization = `Bearer ${this.key}`
    const request = body ? { method: 'POST', headers, body: JSON.stringify(body), signal } : { headers }
    const response = await fetch(path, request).catch(unreachable)
    if (response.ok) return response
    const said = await response.json().catch(() => undefined)
    const busy = response.status === 429 ? 'The server is busy. Please try again in a moment.' : undefined
    throw new Refused(
      response.status,
      busy ?? said?.error?.message ?? `The server answered ${response.status}.`,
      said?.error?.code,
    )
  }
}
