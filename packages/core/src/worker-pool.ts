import { Worker } from 'node:worker_threads'
import { TunesmithError, type TunesmithErrorOptions } from './errors'
import { collectJsonSources, createJsonSources, type JsonSources, restoreJsonSources } from './json/source'

export interface WorkerPoolOptions {
  /** What the threads do, for errors: `A tokenizer thread ended`. */
  name: string
  threads: number
  /**
   * Makes the function that does the jobs: `(data) => (job, transfer) => result`. Given as source text, or as the URL of a
   * module whose default export it is. Both functions may be async. What is pushed to `transfer` is moved, not copied.
   */
  work: string | URL
  /** Handed to `work` once in each thread. */
  data?: unknown
  /** A thread whose heap grows beyond so many megabytes ends. Default Node's own limit. */
  megabytes?: number
  /** Whether jobs and results are rows that keep the text of their numbers and the order of their keys. Default false. */
  jsonSources?: boolean
  /** The threads end after this many milliseconds without a job; the next job starts new ones. Default 10,000. */
  idleMs?: number
}

interface Thread {
  worker: Worker
  jobs: Map<number, { resolve(result: unknown): void; reject(error: unknown): void }>
}

type Answer = { id: number; result?: unknown; sources?: JsonSources; error?: PlainError }

/** An error as it crosses threads, with its plain properties. */
interface PlainError extends Partial<TunesmithErrorOptions> {
  message: string
  what?: string
  name?: string
  stack?: string
  tunesmith: boolean
}

// A text, so that it needs no file beside the bundle. A bundler that keeps function names wraps them in __name.
const threadSource = (make: string) => `
const { parentPort, workerData } = require('node:worker_threads')
const __name = (value) => value
const start = async () => (${make})(workerData)
const json = (${createJsonSources})()
const plain = (error) => {
  if (typeof error !== 'object' || error === null) return { message: String(error), name: 'Error', tunesmith: false }
  const own = Object.entries(error).filter(([, value]) => /string|number|boolean/.test(typeof value))
  const { message, name, stack } = error
  return { ...Object.fromEntries(own), message, name, stack, tunesmith: error[Symbol.for('tunesmith.error')] === true }
}
let work
let last = Promise.resolve()
parentPort.on('message', ({ id, job, keep, sources }) => {
  last = last.then(async () => {
    try {
      work ??= start()
      const transfer = []
      json.restore(job, sources)
      const result = await (await work)(job, transfer)
      parentPort.postMessage({ id, result, sources: keep ? json.collect(result) : undefined }, transfer)
    } catch (error) {
      parentPort.postMessage({ id, error: plain(error) })
    }
  })
})`

/** The error of a thread; further properties it had there (`row`) are kept. */
function revive({ tunesmith, message, ...parts }: PlainError): Error {
  const error = Object.assign(new Error(message), parts)
  if (!tunesmith) return error
  const { what = message, code = 'internal', where, remedy, name: _, stack: __, ...others } = parts
  return Object.assign(new TunesmithError(what, { code, where, remedy, cause: error }), others)
}

/** The error of work that a signal ended. */
export function abortedError(what: string, signal: AbortSignal): TunesmithError {
  return new TunesmithError(`${what} was aborted`, { code: 'aborted', cause: signal.reason })
}

/**
 * Worker threads that do jobs of one kind. They start with the first jobs, take one job at a time, and never keep a
 * program from ending.
 */
export class WorkerPool {
  readonly threads: number
  readonly #options: WorkerPoolOptions
  readonly #running: Thread[] = []
  #count = 0
  #idle: NodeJS.Timeout | undefined

  constructor(options: WorkerPoolOptions) {
    this.threads = options.threads
    this.#options = options
  }

  /**
   * Does a job in the thread that has the fewest.
   *
   * @param job anything that can be cloned; what is in `transfer` is moved.
   * @throws what the work throws, a {@link TunesmithError} with its code, place and remedy; `internal` or `out_of_memory`
   *   when the thread ends, after which other jobs get a new one; `aborted`, at once, when the signal fires.
   */
  async run<Result>(
    job: unknown,
    { signal, transfer = [] }: { signal?: AbortSignal | undefined; transfer?: readonly ArrayBuffer[] } = {},
  ): Promise<Result> {
    const { name, jsonSources: keep } = this.#options
    if (signal?.aborted) throw abortedError(`The work of the ${name} threads`, signal)
    clearTimeout(this.#idle)
    const thread = this.#leastBusy()
    const id = this.#count++
    let abort: (() => void) | undefined
    try {
      return await new Promise<Result>((resolve, reject) => {
        abort = () => reject(abortedError(`The work of the ${name} threads`, signal!))
        signal?.addEventListener('abort', abort, { once: true })
        thread.worker.postMessage({ id, job, keep, sources: keep ? collectJsonSources(job) : undefined }, [...transfer])
        thread.jobs.set(id, { resolve: resolve as (result: unknown) => void, reject })
        thread.worker.ref()
      })
    } finally {
      if (abort) signal?.removeEventListener('abort', abort)
      if (this.#running.every(({ jobs }) => jobs.size === 0))
        this.#idle = setTimeout(() => void this.close(), this.#options.idleMs ?? 10_000).unref()
    }
  }

  /** Ends the threads; jobs under way fail. The next job starts new ones. */
  async close(): Promise<void> {
    clearTimeout(this.#idle)
    await Promise.all(this.#running.splice(0).map((thread) => this.#end(thread, new Error('it was closed'))))
  }

  #leastBusy(): Thread {
    const free = this.#running.find(({ jobs }) => jobs.size === 0)
    if (free) return free
    if (this.#running.length < this.threads) return this.#start()
    return this.#running.reduce((a, b) => (b.jobs.size < a.jobs.size ? b : a))
  }

  #start(): Thread {
    const { work, data, megabytes } = this.#options
    const make = work instanceof URL ? `(await import(${JSON.stringify(work.href)})).default` : work
    const resourceLimits = megabytes === undefined ? {} : { maxOldGenerationSizeMb: megabytes }
    const worker = new Worker(threadSource(make), { eval: true, workerData: data, resourceLimits })
    const thread: Thread = { worker, jobs: new Map() }
    worker.unref()
    worker.on('message', ({ id, result, sources, error }: Answer) => {
      const job = thread.jobs.get(id)
      thread.jobs.delete(id)
      if (thread.jobs.size === 0) worker.unref()
      if (error) job?.reject(revive(error))
      else {
        restoreJsonSources(result, sources)
        job?.resolve(result)
      }
    })
    const died = (error: Error) => {
      const at = this.#running.indexOf(thread)
      if (at >= 0) this.#running.splice(at, 1)
      void this.#end(thread, error)
    }
    worker.on('error', died)
    worker.on('exit', (code) => died(new Error(`it ended with code ${code}`)))
    this.#running.push(thread)
    return thread
  }

  async #end({ worker, jobs }: Thread, error: Error & { code?: string }): Promise<void> {
    const code = error.code === 'ERR_WORKER_OUT_OF_MEMORY' ? 'out_of_memory' : 'internal'
    for (const { reject } of jobs.values())
      reject(new TunesmithError(`A ${this.#options.name} thread failed: ${error.message}`, { code, cause: error }))
    jobs.clear()
    await worker.terminate()
  }
}

/**
 * Works on items as they come and yields the results in the items' order. At most `atOnce` are under way, so that `items`
 * is read no faster than the results are taken.
 */
export async function* mapInOrder<Item, Result>(
  items: Iterable<Item> | AsyncIterable<Item>,
  atOnce: number,
  work: (item: Item) => Promise<Result>,
): AsyncGenerator<Result> {
  const underWay: Promise<Result>[] = []
  for await (const item of items) {
    const result = work(item)
    result.catch(() => undefined) // it is awaited in its turn
    underWay.push(result)
    if (underWay.length >= atOnce) yield await underWay.shift()!
  }
  while (underWay.length > 0) yield await underWay.shift()!
}
