import { RequestError, shown } from '@tunesmith/core'
import type { RunRecord } from './run-record'
import type { MetricPoint, RunEnding, RunStart, TrackingService } from './service'

export interface DeliveryOptions {
  service: TrackingService
  run: RunStart
  /** Called once each: when the run is there, when the service cannot be reached, when reporting ends early. */
  say: (message: string, level: 'info' | 'warning') => void
  /** Gets the run once it is there, and what was delivered. */
  record: RunRecord
  /** Points that wait at most; beyond that the oldest go. Default 10,000. */
  capacity: number
  /** Points per request. Default 100. */
  batchSize: number
  /** First pause after a failure; doubles up to a minute. Default 1000 ms. */
  backoffMs: number
  /** Default 30,000 ms. */
  heartbeatMs: number
}

/**
 * Sends points in the background, in order, and tries again what may pass. Nothing here is awaited by training until
 * {@link finish}, which has a time limit; no error leaves it.
 */
export class Delivery {
  readonly #options: DeliveryOptions
  readonly #queue: MetricPoint[] = []
  readonly #abort = new AbortController()
  readonly #done: Promise<void>
  #sending = 0
  #dropped = 0
  #ending: RunEnding | undefined
  #wake: () => void = () => {}
  #unreachable = false
  /** The last try failed. */
  #failing = false

  constructor(options: DeliveryOptions) {
    // Whatever a server answers, keys are not shown.
    this.#options = { ...options, say: (message, level) => options.say(shown(message), level) }
    this.#done = this.#run().catch((error: Error) => this.#stop(error))
  }

  push(point: MetricPoint): void {
    if (this.#abort.signal.aborted) return
    if (this.#queue.length >= this.#options.capacity) {
      this.#queue.shift()
      this.#dropped++
    }
    this.#queue.push(point)
    this.#wake()
  }

  /** Sends what is left and closes the run; gives up after `limitMs` and says what was lost. */
  async finish(ending: RunEnding, limitMs: number): Promise<void> {
    this.#ending = ending
    this.#wake()
    let timer: NodeJS.Timeout | undefined
    const limit = new Promise<void>((resolve) => {
      // A server that was not there all along is not waited for as long.
      timer = setTimeout(resolve, this.#failing ? limitMs / 5 : limitMs)
    })
    await Promise.race([this.#done, limit])
    clearTimeout(timer)
    const lost = this.#dropped + this.#sending + this.#queue.length
    if (!this.#abort.signal.aborted && lost > 0)
      this.#options.say(`${this.#options.service.title} did not take ${lost} logs; logs.jsonl has them all`, 'warning')
    this.#abort.abort()
  }

  async #run(): Promise<void> {
    const { service, run, record, say, batchSize, heartbeatMs } = this.#options
    const { identity, url } = await this.#persist((signal) => service.open(run, signal))
    await record.save(identity)
    if (url) say(`${service.title}: ${url}`, 'info')
    for (;;) {
      if (this.#queue.length > 0) {
        const points = this.#queue.splice(0, batchSize)
        this.#sending = points.length
        await this.#persist((signal) => service.send(points, signal))
        this.#sending = 0
        await record.save(identity, points)
      } else if (this.#ending) break
      else if (!(await this.#pause(heartbeatMs)) && service.heartbeat)
        await this.#persist((signal) => service.heartbeat!(signal))
    }
    const ending = this.#ending
    await this.#persist((signal) => service.close(ending, signal))
  }

  /** Until it succeeds, or cannot. */
  async #persist<Result>(action: (signal: AbortSignal) => Promise<Result>): Promise<Result> {
    const { backoffMs, service, say } = this.#options
    for (let pause = backoffMs; ; pause = Math.min(60_000, 2 * pause)) {
      try {
        const result = await action(this.#abort.signal)
        this.#failing = false
        return result
      } catch (error) {
        if (!(error instanceof RequestError) || !error.retryable || this.#abort.signal.aborted) throw error
        this.#failing = true
        // A server that is busy is not worth a line; one that is not there is, once.
        if (!this.#unreachable && error.status !== 429) {
          this.#unreachable = true
          say(`${service.title}: ${error.message}; training goes on, and so do the tries`, 'warning')
        }
        await this.#pause(Math.max(error.retryAfterMs, pause), true)
      }
    }
  }

  /** @returns true when woken before the time was up; `whole` pauses are cut short by nothing but the end. */
  async #pause(ms: number, whole = false): Promise<boolean> {
    const length = whole && this.#ending ? Math.min(ms, this.#options.backoffMs) : ms
    return new Promise((resolve) => {
      const end = (woken: boolean) => {
        clearTimeout(timer)
        this.#wake = () => {}
        resolve(woken)
      }
      // A pause must not keep a program alive.
      const timer = setTimeout(() => end(false), length).unref()
      this.#wake = () => {
        if (!whole || this.#ending) end(true)
      }
    })
  }

  #stop(error: Error): void {
    if (this.#abort.signal.aborted) return
    this.#options.say(`${this.#options.service.title} gets no more logs: ${error.message}`, 'warning')
    this.#abort.abort()
    this.#queue.length = 0
  }
}
