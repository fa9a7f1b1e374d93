import type { TokenLogProb } from './log-probabilities'

/** What a request gets, in this order: one `start`, then tokens, the last of which has `finish`. */
export type EngineEvent =
  | {
      type: 'start'
      /** Tokens of the prompt that were not read because another request had begun with them. */
      cachedTokens: number
    }
  | {
      type: 'token'
      token: number
      /** With `logProbs`: of the token, and the most likely ones. */
      logProb?: number
      top?: readonly TokenLogProb[]
      /** Set with the last token: it completed a stop token or sequence, or the length ran out. */
      finish?: 'stop' | 'length'
      /** With `finish: 'stop'`: how many of the last tokens are what stopped it, and no part of the answer. */
      stopLength?: number
    }

/** Events from the engine to whoever iterates; leaving the iteration cancels. */
export class EventQueue implements AsyncIterableIterator<EngineEvent> {
  readonly #events: EngineEvent[] = []
  #failure: unknown
  #ended = false
  #wake: (() => void) | undefined
  readonly #onLeave: () => void

  constructor(onLeave: () => void) {
    this.#onLeave = onLeave
  }

  push(event: EngineEvent): void {
    if (this.#ended) return
    this.#events.push(event)
    if (event.type === 'token' && event.finish) this.#ended = true
    this.#wake?.()
  }

  fail(error: unknown): void {
    if (this.#ended) return
    this.#failure = error
    this.#ended = true
    this.#wake?.()
  }

  async next(): Promise<IteratorResult<EngineEvent, undefined>> {
    while (this.#events.length === 0 && !this.#ended)
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    const event = this.#events.shift()
    if (event) return { value: event, done: false }
    const failure = this.#failure
    this.#failure = undefined
    if (failure !== undefined) throw failure
    return { value: undefined, done: true }
  }

  async return(): Promise<IteratorResult<EngineEvent, undefined>> {
    if (!this.#ended) this.#onLeave()
    this.#ended = true
    this.#events.length = 0
    return { value: undefined, done: true }
  }

  [Symbol.asyncIterator](): this {
    return this
  }
}
