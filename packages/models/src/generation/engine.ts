import * as tf from '@tensorflow/tfjs-core'
import { invalidData, invalidOptions, notFound, parseOptions, TunesmithError } from '@tunesmith/core'
import { z } from 'zod'
import type { CausalLM } from '../causal-lm'
import { KvCache } from '../kv-cache'
import { BASE_NAME } from '../pass'
import { ropesOf } from '../rope'
import { DecodingStep } from './decoding-step'
import { type EngineEvent, EventQueue } from './engine-events'
import { type EngineRequest, Running } from './engine-request'
import { outgrowsRotation, withDefaults } from './generate'
import { PrefixCache } from './prefix-cache'

export const engineSchema = z.strictObject({
  /** Tokens that the cache holds, of all requests together and of what is kept of earlier ones. Default 8192. */
  cacheTokens: z.number().int().positive().default(8192),
  /** Requests answered at once. Up to 16 rows read each weight once on a CPU. Default 16. */
  maxRunning: z.number().int().positive().default(16),
  /** Requests that wait beside them; one more is refused. Default 256. */
  maxWaiting: z.number().int().nonnegative().default(256),
  /** Tokens of prompts read in one pass; between two passes every answer under way gets its next token. Default 512. */
  prefillChunk: z.number().int().min(32).default(512),
})
export type EngineOptions = z.input<typeof engineSchema>

/** Adapters that requests may ask for by name, as `@tunesmith/peft-lora` has them. */
export interface EngineAdapters {
  names(): readonly string[]
  /** Puts the adapter of a folder on the model. */
  load(name: string, folder: string): Promise<void>
  /** Takes one off and releases it. */
  unload(name: string): void
}

/**
 * Products of so few rows add up in another order than those of more, and in float32 where others are in bfloat16. A prompt with more
 * tokens is never read in parts this small, so that its answer does not depend on who else asks.
 */
const FEW_ROWS = 16

/**
 * Answers many requests at once: sequences join and leave a running batch, each with its own adapter, sampling and end.
 *
 * Prompts are read in chunks between the steps that give every answer its next token. The beginning of a prompt that the cache holds
 * already, of the same adapter, is copied. A request has rows for its longest answer before it starts, so that none is ever interrupted;
 * those that do not fit wait in order. Greedy answers are those of `generate`, whatever shares the batch.
 */
export class Engine {
  /** The model that answers. */
  readonly model: CausalLM
  readonly #options: z.output<typeof engineSchema>
  readonly #adapters: EngineAdapters | undefined
  readonly #cache: KvCache
  readonly #prefixes: PrefixCache
  readonly #step: DecodingStep
  #waiting: Running[] = []
  #running: Running[] = []
  /** Ends when there is no request any more. */
  #looping: Promise<void> | undefined
  #closed = false
  /** Whether the rotation of every position depends on how long the whole prompt is, so that its parts cannot be read apart. */
  readonly #wholeOnly: boolean
  /** How often the weights behind a name were replaced: what the cache holds belongs to one version. */
  readonly #versions = new Map<string, number>()
  readonly #coming = new Set<string>()
  readonly #leaving = new Map<string, () => void>()
  readonly #counts = { prompts: 0, promptTokens: 0, cachedTokens: 0, newTokens: 0 }

  /** @param adapters default: every request is answered by the model as it is. */
  constructor(model: CausalLM, options: EngineOptions = {}, adapters?: EngineAdapters) {
    this.model = model
    this.#options = parseOptions(engineSchema, options, 'Engine')
    this.#adapters = adapters
    this.#checkMixture(adapters?.names() ?? [])
    this.#cache = new KvCache(model.config, 0, this.#options.cacheTokens, this.#virtual)
    this.#prefixes = new PrefixCache(this.#cache)
    this.#wholeOnly = ropesOf(model.config).some(({ type }) => type === 'longrope' || type === 'dynamic')
    this.#step = new DecodingStep(model, this.#cache)
  }

  get #virtual(): number {
    return this.model.attachment?.virtualTokens?.count ?? 0
  }

  /**
   * Asks for an answer. It begins when there is room; leaving the iteration, or the request's signal, cancels it.
   *
   * @throws {TunesmithError} `invalid_data` for a prompt that is empty or too long, `invalid_options` for one whose answer can never fit
   *   the cache, `not_found` for an adapter that is not there, `busy` when too many wait. The iteration throws `aborted` when cancelled.
   */
  submit(request: EngineRequest): AsyncIterableIterator<EngineEvent> {
    const { prompt, adapter, logProbs, mask, ...options } = request
    if (this.#closed) throw new TunesmithError('The engine is closed', { code: 'aborted' })
    const settings = withDefaults(this.model, options, 'Engine.submit')
    const limit = settings.limitOf(prompt.length)
    if (prompt.length === 0 || prompt.length >= limit)
      throw invalidData(`The prompt has ${prompt.length} tokens; it must have 1 to ${limit - 1}`)
    if (limit + this.#virtual > this.#options.cacheTokens)
      throw invalidOptions(`The request needs ${limit} tokens of a cache that holds ${this.#options.cacheTokens}`, {
        where: 'Engine.submit',
        remedy: 'Ask for a shorter answer, or give the engine a larger cacheTokens',
      })
    this.#checkAdapter(adapter)
    if (this.#waiting.length >= this.#options.maxWaiting)
      throw new TunesmithError(`${this.#waiting.length} requests are waiting already`, {
        code: 'busy',
        remedy: 'Try again later, or give the engine a larger maxWaiting',
      })
    const running = new Running({ prompt, limit, settings, logProbs, mask, adapter: adapter ?? BASE_NAME })
    running.events = new EventQueue(() => running.cancel())
    this.#waiting.push(running)
    void this.#loop()
    return running.events
  }

  #checkAdapter(name: string | undefined): void {
    if (name === undefined || name === BASE_NAME) return
    const names = (this.#adapters?.names() ?? []).filter((one) => !this.#leaving.has(one) && !this.#coming.has(one))
    if (names.includes(name)) return
    throw notFound(`There is no adapter ${JSON.stringify(name)}`, {
      where: 'Engine.submit',
      remedy: names.length === 0 ? 'Load it first' : `There are: ${names.join(', ')}`,
    })
  }

  #host(): EngineAdapters {
    if (this.#adapters) return this.#adapters
    throw invalidOptions('This engine has no adapters', { where: 'Engine', remedy: 'Pass adapters to its constructor' })
  }

  /**
   * @throws {TunesmithError} `invalid_options` for a name that is taken, `unsupported` for an adapter that cannot share a batch, and what the
   *   files are refused for; requests go on meanwhile.
   */
  async loadAdapter(name: string, folder: string): Promise<void> {
    const host = this.#host()
    if (name === BASE_NAME || host.names().includes(name))
      throw invalidOptions(`There is an adapter ${JSON.stringify(name)} already`, {
        where: 'Engine.loadAdapter',
        remedy: 'Unload it first, or choose another name',
      })
    this.#coming.add(name)
    try {
      await host.load(name, folder)
      try {
        this.#checkMixture([name])
      } catch (error) {
        host.unload(name)
        throw error
      }
      this.#versions.set(name, (this.#versions.get(name) ?? 0) + 1)
    } finally {
      this.#coming.delete(name)
    }
  }

  /** @throws {TunesmithError} for an adapter that cannot answer in one batch with others. */
  #checkMixture(names: readonly string[]): void {
    if (names.length > 0) this.model.attachment?.checkAdapterNames([...names, BASE_NAME])
  }

  /** Takes no more requests for the adapter, waits for those it has, then releases it and what the cache holds of it. */
  async unloadAdapter(name: string): Promise<void> {
    const host = this.#host()
    this.#checkAdapter(name)
    if (this.#isUsed(name)) await new Promise<void>((resolve) => this.#leaving.set(name, resolve))
    this.#leaving.delete(name)
    this.#prefixes.forget(this.#key(name))
    host.unload(name)
  }

  readonly #isUsed = (name: string) => [...this.#waiting, ...this.#running].some(({ adapter }) => adapter === name)
  readonly #key = (name: string) => `${name}@${this.#versions.get(name) ?? 0}`

  /** Drops what the cache holds of finished requests; needed when weights were changed in place. */
  forget(): void {
    this.#prefixes.forget()
  }

  /** Whether it takes no more requests. */
  get closed(): boolean {
    return this.#closed
  }

  /** What it does now and has done since it began. */
  get stats() {
    return {
      running: this.#running.length,
      waiting: this.#waiting.length,
      cacheTokens: this.#cache.totalRows,
      cacheTokensUsed: this.#cache.usedRows,
      ...this.#counts,
    }
  }

  /** Cancels every request and releases the cache. */
  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    for (const request of [...this.#waiting, ...this.#running]) request.cancel()
    await this.#loop()
    this.#step.dispose()
    this.#cache.dispose()
  }

  #loop(): Promise<void> {
    this.#looping ??= this.#turns()
    return this.#looping
  }

  async #turns(): Promise<void> {
    // Whoever submits in the same turn of the event loop shares the first pass.
    await Promise.resolve()
    while (this.#waiting.length + this.#running.length > 0) {
      this.#turn()
      await new Promise<void>((resolve) => setImmediate(resolve))
    }
    // Not later: the next request begins another loop.
    this.#looping = undefined
  }

  #turn(): void {
    try {
      this.#dropCancelled()
      this.#admit()
      this.#read(this.#nextChunks())
      this.#decode()
    } catch (error) {
      // Of no request in particular, such as memory for the cache that cannot be had: better an error for all than no answer.
      for (const request of this.#waiting.splice(0)) request.events.fail(error)
      for (const request of [...this.#running]) this.#fail(request, error)
    }
  }

  #dropCancelled(): void {
    for (const request of this.#running.filter(({ cancelled }) => cancelled)) this.#leave(request)
    const waiting = this.#waiting.filter(({ cancelled }) => cancelled)
    this.#waiting = this.#waiting.filter((request) => !waiting.includes(request))
    for (const request of waiting) request.stop()
    this.#noticeLeaving()
  }

  /** Takes a request out of the batch; what the cache holds of it may serve others. */
  #leave(request: Running): void {
    this.#running = this.#running.filter((other) => other !== request)
    this.#prefixes.release(request.sequence)
    request.stop()
    this.#noticeLeaving()
  }

  #noticeLeaving(): void {
    for (const [name, resolve] of this.#leaving) if (!this.#isUsed(name)) resolve()
  }

  #admit(): void {
    while (this.#waiting.length > 0 && this.#running.length < this.#options.maxRunning) {
      const request = this.#waiting[0]!
      const { tokens, limit } = request
      const key = this.#key(request.adapter)
      const found = this.#wholeOnly ? undefined : this.#prefixes.longest(key, tokens)
      // At least so much is read that the rows of the last part are many.
      let count = Math.max(0, Math.min(found?.count ?? 0, tokens.length - FEW_ROWS - 1))
      let sequence = this.#prefixes.allot(limit, count > 0 ? found!.sequence : undefined)
      if (sequence === undefined && this.#running.length > 0) return
      if (sequence === undefined) {
        // What could be copied stands in the way of the answer.
        count = 0
        sequence = this.#prefixes.allot(limit)!
      }
      this.#waiting.shift()
      if (count > 0) this.#cache.copy(found!.sequence, sequence, count)
      request.sequence = sequence
      this.#prefixes.add(sequence, key, tokens)
      this.#running.push(request)
      this.#counts.prompts++
      this.#counts.promptTokens += tokens.length
      this.#counts.cachedTokens += count
      request.events.push({ type: 'start', cachedTokens: count })
    }
  }

  /** Tokens of a request that the cache does not hold. */
  readonly #unread = ({ sequence, tokens }: Running) => tokens.length - this.#cache.lengths[sequence]!

  readonly #needsReading = (request: Running) => !request.started || this.#unread(request) > 1

  /** The parts of prompts that the next pass reads, in order of arrival. */
  #nextChunks(): { request: Running; count: number }[] {
    const chunks: { request: Running; count: number }[] = []
    let room = this.#options.prefillChunk
    for (const request of this.#running.filter(this.#needsReading)) {
      const unread = this.#unread(request)
      // Parts of equal size, so that none is small.
      const parts = this.#wholeOnly ? 1 : Math.ceil(unread / this.#options.prefillChunk)
      const count = Math.ceil(unread / parts)
      if (chunks.length === 0) room = count <= FEW_ROWS ? FEW_ROWS : Math.max(room, count)
      if (count > room || (chunks.length > 0 && count <= FEW_ROWS !== chunks[0]!.count <= FEW_ROWS)) continue
      chunks.push({ request, count })
      room -= count
    }
    return chunks
  }

  #names(requests: readonly Running[]): string[] | undefined {
    return this.#adapters && this.#adapters.names().length > 0 ? requests.map(({ adapter }) => adapter) : undefined
  }

  /** One pass over parts of prompts; those that are read to the end get their first token. */
  #read(chunks: readonly { request: Running; count: number }[]): void {
    if (chunks.length === 0) return
    const byAdapter = [...chunks].sort((a, b) => compare(a.request.adapter, b.request.adapter))
    const requests = byAdapter.map(({ request }) => request)
    const finished = byAdapter.map(({ request, count }) => this.#unread(request) === count)
    const logits = this.#pass(requests, () =>
      tf.tidy(() => {
        const counts = byAdapter.map(({ count }) => count)
        const starts = requests.map(({ sequence }) => this.#cache.lengths[sequence]!)
        const cuSeqlens = [0]
        for (const count of counts) cuSeqlens.push(cuSeqlens.at(-1)! + count)
        const parts = requests.map(({ tokens }, i) => tokens.slice(starts[i], starts[i]! + counts[i]!))
        const positions = parts.flatMap((part, i) => part.map((_, t) => starts[i]! + t))
        const sequences = requests.map(({ sequence }) => sequence)
        this.#cache.begin(sequences, counts)
        const adapterNames = this.#names(requests)
        const input = { inputIds: parts.flat(), positions, cuSeqlens, ...(adapterNames && { adapterNames }) }
        const hidden = this.model.forward(input, { cache: this.#cache })
        const last = finished.flatMap((whole, i) => (whole ? [cuSeqlens[i + 1]! - 1] : []))
        if (last.length === 0) return new Float32Array()
        return this.model.logits(tf.gather(hidden, tf.tensor1d(last, 'int32'))).dataSync() as Float32Array
      }),
    )
    if (!logits) return
    this.#deliverAll(
      requests.filter((_, i) => finished[i]),
      logits,
    )
  }

  /** The next token of every answer under way. */
  #decode(): void {
    const ready = this.#running.filter((request) => !this.#needsReading(request))
    const again = ready.filter(({ sequence }) => outgrowsRotation(this.model, this.#cache, sequence))
    const active = ready.filter((request) => !again.includes(request)).sort((a, b) => compare(a.adapter, b.adapter))
    if (active.length === 0) return
    const sequences = active.map(({ sequence }) => sequence)
    const tokens = active.map((request) => request.tokens.at(-1)!)
    const logits = this.#pass(active, () => this.#step.logits(sequences, tokens, this.#names(active)))
    if (!logits) return
    this.#deliverAll(active, logits)
  }

  /** Runs a pass; when it fails, so do the requests in it, and no others. */
  #pass<Result>(requests: readonly Running[], work: () => Result): Result | undefined {
    try {
      return work()
    } catch (error) {
      for (const request of requests) this.#fail(request, error)
      return undefined
    }
  }

  #fail(request: Running, error: unknown): void {
    request.events.fail(error)
    // What the cache holds of it may be half written.
    this.#cache.lengths[request.sequence] = 0
    this.#leave(request)
  }

  #deliverAll(requests: readonly Running[], logits: Float32Array): void {
    const width = this.model.config.vocabSize
    for (const [row, request] of requests.entries())
      this.#deliver(request, logits.subarray(row * width, (row + 1) * width))
  }

  #deliver(request: Running, logits: Float32Array): void {
    try {
      const finish = request.next(logits)
      this.#counts.newTokens++
      if (finish) this.#leave(request)
    } catch (error) {
      this.#fail(request, error)
    }
  }
}

const compare = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0)
