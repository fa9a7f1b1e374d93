import { randomUUID } from 'node:crypto'
import { type Answerer, type EngineTextEvent, type EngineTextRequest, streamEngineText } from '@tunesmith/models'
import type { Tokenizer } from '@tunesmith/tokenization'

/** One answer under way: of which prompt, and the how-manieth to it. */
export interface Asked {
  index: number
  request: EngineTextRequest
  /** Called when the answer is over, or nobody waits for it any more. */
  release?: () => void
}

/** Answers under way to one request of a client, who called the model by this name. */
export interface Answering {
  engine: Answerer
  tokenizer: Tokenizer
  asked: readonly Asked[]
  usage: UsageCount
  model: string
}

export interface Usage {
  prompt_tokens: number
  completion_tokens: number
  total_tokens: number
  prompt_tokens_details: { cached_tokens: number }
}

/** Several answers at once, their events as they come. */
export async function* mergedEvents(
  engine: Answerer,
  tokenizer: Tokenizer,
  asked: readonly Asked[],
): AsyncGenerator<{ index: number; event: EngineTextEvent }> {
  const streams = asked.map(({ index, request }) => ({ index, events: streamEngineText(engine, tokenizer, request) }))
  const next = async (stream: (typeof streams)[number]) => ({ stream, result: await stream.events.next() })
  const pending = new Map(streams.map((stream) => [stream, next(stream)]))
  try {
    while (pending.size > 0) {
      const { stream, result } = await Promise.race(pending.values())
      if (result.done) {
        pending.delete(stream)
        continue
      }
      pending.set(stream, next(stream))
      yield { index: stream.index, event: result.value }
    }
  } finally {
    // Whoever waits for the next event of the others must not keep them from being cancelled.
    for (const promise of pending.values()) promise.catch(() => undefined)
    await Promise.all(streams.map(({ events }) => events.return(undefined).catch(() => undefined)))
    for (const { release } of asked) release?.()
  }
}

/** Counts what OpenAI bills; a prompt counts once, however many answers it gets. */
export class UsageCount {
  #new = 0
  #cached = 0

  constructor(
    private readonly promptTokens: number,
    private readonly answers: number,
  ) {}

  add(event: EngineTextEvent): void {
    if (event.type === 'token') this.#new++
    else this.#cached += event.cachedTokens
  }

  get usage(): Usage {
    return {
      prompt_tokens: this.promptTokens,
      completion_tokens: this.#new,
      total_tokens: this.promptTokens + this.#new,
      // Of several answers the first reads the prompt and the others find it in the cache: those are not tokens saved.
      prompt_tokens_details: { cached_tokens: this.answers === 1 ? this.#cached : 0 },
    }
  }
}

export const newId = (kind: string) => `${kind}-${randomUUID().replaceAll('-', '')}`
export const seconds = () => Math.floor(Date.now() / 1000)
