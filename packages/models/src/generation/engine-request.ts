import { TunesmithError } from '@tunesmith/core'
import type { EventQueue } from './engine-events'
import { endsWith, type GenerateOptions, type withDefaults } from './generate'
import { logProbabilities } from './log-probabilities'
import { createSampler, type Sampler } from './sampler'

/**
 * Which tokens may come next, given the answer so far: one bit for each token of the vocabulary, the first in the lowest bit of the
 * first word. Undefined where all may.
 */
export type TokenMask = (answer: readonly number[]) => Int32Array | undefined

export interface EngineRequest extends Omit<GenerateOptions, 'numReturnSequences' | 'adapterNames'> {
  /** Token ids. */
  prompt: ArrayLike<number>
  /** The adapter that answers. Default: none, or the active one where the engine has no adapters to choose from. */
  adapter?: string | undefined
  /** Gives the log-probability of each token, and of so many of the most likely ones. Default: neither. */
  logProbs?: number | undefined
  mask?: TokenMask | undefined
}

/** A request and how far it has come. */
export class Running {
  /** Prompt and answer. */
  readonly tokens: number[]
  /** Tokens of both at most. */
  readonly limit: number
  readonly adapter: string
  /** When it ends with the next token. */
  readonly deadline: number
  /** Its rows of the cache. */
  sequence = -1
  cancelled = false
  events!: EventQueue
  readonly #promptLength: number
  readonly #sampler: Sampler
  readonly #settings: ReturnType<typeof withDefaults>
  readonly #logProbs: number | undefined
  readonly #cancel = () => this.cancel()

  constructor(request: {
    prompt: ArrayLike<number>
    limit: number
    adapter: string
    settings: ReturnType<typeof withDefaults>
    logProbs: number | undefined
    mask: TokenMask | undefined
  }) {
    const { prompt, limit, adapter, settings, mask } = request
    this.tokens = Array.from(prompt)
    this.limit = limit
    this.adapter = adapter
    this.deadline = performance.now() + 1000 * settings.maxTime
    this.#promptLength = prompt.length
    this.#settings = settings
    this.#logProbs = request.logProbs
    const limits = { promptLength: prompt.length, maxLength: limit, eosTokenIds: [...settings.stops] }
    const last = mask && [
      (scores: Float64Array, tokens: ArrayLike<number>) =>
        keepAllowed(scores, mask(Array.from(tokens).slice(prompt.length))),
    ]
    this.#sampler = createSampler(settings.sampling, '0', limits, last)
    if (settings.signal?.aborted) this.cancel()
    else settings.signal?.addEventListener('abort', this.#cancel, { once: true })
  }

  /** Whether the answer has begun. */
  get started(): boolean {
    return this.tokens.length > this.#promptLength
  }

  cancel(): void {
    this.cancelled = true
  }

  /** Chooses the next token from its logits and says so; returns whether it was the last. */
  next(logits: Float32Array): boolean {
    const { stops, stopSequences } = this.#settings
    const { tokens } = this
    const token = this.#sampler(logits, tokens)
    tokens.push(token)
    const run = stopSequences.find((end) => endsWith(tokens, this.#promptLength, end))
    const stopLength = stops.has(token) ? 1 : run?.length
    const full = tokens.length >= this.limit || performance.now() >= this.deadline
    const finish = stopLength !== undefined ? 'stop' : full ? 'length' : undefined
    this.events.push({
      type: 'token',
      token,
      ...(this.#logProbs !== undefined && logProbabilities(logits, token, this.#logProbs)),
      ...(finish && { finish }),
      ...(stopLength !== undefined && { stopLength }),
    })
    return finish !== undefined
  }

  /** Nothing comes any more. */
  stop(): void {
    const { signal } = this.#settings
    signal?.removeEventListener('abort', this.#cancel)
    this.events.fail(new TunesmithError('The request was cancelled', { code: 'aborted', cause: signal?.reason }))
  }
}

function keepAllowed(scores: Float64Array, mask: Int32Array | undefined): void {
  if (!mask) return
  for (let token = 0; token < scores.length; token++)
    if (!(mask[token >> 5]! & (1 << (token & 31)))) scores[token] = Number.NEGATIVE_INFINITY
}
