import type { Answerer, Engine, EngineEvent, EngineRequest } from '@tunesmith/models'
import { Counter, Gauge, Histogram, Registry } from 'prom-client'

type Stats = Engine['stats']

const GAUGES: [string, string, (stats: Stats) => number][] = [
  ['num_requests_running', 'Requests that are answered now.', ({ running }) => running],
  ['num_requests_waiting', 'Requests that wait.', ({ waiting }) => waiting],
  [
    'kv_cache_usage_perc',
    'Share of the cache that is in use; 1 is all.',
    ({ cacheTokensUsed, cacheTokens }) => cacheTokensUsed / cacheTokens,
  ],
]
const COUNTERS: [string, string, (stats: Stats) => number][] = [
  ['prompt_tokens_total', 'Tokens of prompts.', ({ promptTokens }) => promptTokens],
  [
    'prefix_cache_queries_total',
    'Tokens of prompts that were looked for in the cache.',
    ({ promptTokens }) => promptTokens,
  ],
  ['prefix_cache_hits_total', 'Tokens of prompts that the cache held.', ({ cachedTokens }) => cachedTokens],
  ['generation_tokens_total', 'Tokens of answers.', ({ newTokens }) => newTokens],
]
/** Seconds, from a millisecond to some minutes. */
const BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 40, 80, 160, 640]

/** What an engine does, with vLLM's names. */
export class Metrics {
  readonly #registry = new Registry()
  readonly #firstToken = this.#seconds('time_to_first_token_seconds', 'From a request to its first token.')
  readonly #nextToken = this.#seconds('inter_token_latency_seconds', 'From a token to the next one.')
  readonly #whole = this.#seconds('e2e_request_latency_seconds', 'From a request to the end of its answer.')
  readonly #finished: Counter<'finished_reason'>
  readonly #engine: Engine

  constructor(engine: Engine) {
    this.#engine = engine
    const registers = [this.#registry]
    for (const [name, help, value] of GAUGES)
      new Gauge({
        name: `tunesmith:${name}`,
        help,
        registers,
        collect() {
          this.set(value(engine.stats))
        },
      })
    for (const [name, help, value] of COUNTERS)
      new Counter({
        name: `tunesmith:${name}`,
        help,
        registers,
        collect() {
          this.reset()
          this.inc(value(engine.stats))
        },
      })
    this.#finished = new Counter({
      name: 'tunesmith:request_success_total',
      help: 'Answers, by what ended them.',
      labelNames: ['finished_reason'],
      registers,
    })
  }

  #seconds(name: string, help: string): Histogram {
    return new Histogram({ name: `tunesmith:${name}`, help, buckets: BUCKETS, registers: [this.#registry] })
  }

  /** The engine, with a clock on each of its answers. */
  measured(): Answerer {
    return { model: this.#engine.model, submit: (request) => this.#timed(request) }
  }

  async *#timed(request: EngineRequest): AsyncGenerator<EngineEvent> {
    const start = performance.now()
    let last = start
    const since = (then: number) => (performance.now() - then) / 1000
    for await (const event of this.#engine.submit(request)) {
      if (event.type === 'token') {
        if (last === start) this.#firstToken.observe(since(start))
        else this.#nextToken.observe(since(last))
        last = performance.now()
        if (event.finish) {
          this.#whole.observe(since(start))
          this.#finished.inc({ finished_reason: event.finish })
        }
      }
      yield event
    }
  }

  /** Prometheus' text format, and its media type. */
  async text(): Promise<{ body: string; type: string }> {
    return { body: await this.#registry.metrics(), type: this.#registry.contentType }
  }
}
