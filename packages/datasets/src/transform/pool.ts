import { Worker } from 'node:worker_threads'
import { TunesmithError } from '@tunesmith/core'
import type { RowChunk } from '../rows'
import type { AnyFunction } from './apply'

interface PoolOptions<R, S> {
  fn: AnyFunction<R, S>
  batched: boolean
  workers: number
  context: unknown
}

interface Answer<S> {
  rows?: S[]
  /** The row of the batch on which the function failed, or -1 for a batched function. */
  failed?: number
  error?: { message: string; name: string; stack?: string }
}

// Given to the worker as text, so that it needs no file beside this one however the package is bundled.
const WORKER_SOURCE = `
const { parentPort, workerData } = require('node:worker_threads')
const { source, module, batched, context } = workerData
const load = async () => (module ? (await import(module)).default : (0, eval)('(' + source + ')'))
let fn
parentPort.on('message', async ({ rows, first }) => {
  let at = -1
  try {
    fn ??= await load()
    if (typeof fn !== 'function') throw new TypeError('the module has no function as its default export')
    let result
    if (batched) {
      result = await fn(rows, first, context)
      if (!Array.isArray(result)) throw new TypeError('a batched function must return a list of rows')
    } else {
      result = new Array(rows.length)
      for (at = 0; at < rows.length; at++) {
        result[at] = await fn(rows[at], first + at, context)
        if (result[at] === undefined) throw new TypeError('it returned undefined')
      }
    }
    parentPort.postMessage({ rows: result })
  } catch (error) {
    const { message = String(error), name = 'Error', stack } = error ?? {}
    parentPort.postMessage({ failed: at, error: { message, name, stack } })
  }
})
`

/** A method written in shorthand (`map(row) {...}`) is no expression on its own. */
function sourceOf(fn: (...args: never[]) => unknown): string {
  const source = Function.prototype.toString.call(fn)
  if (/^(async\s+)?(function\b|\(|[\w$]+\s*=>)/.test(source)) return source
  if (source.includes('[native code]'))
    throw new TunesmithError('A bound or native function cannot run in a worker thread', {
      code: 'invalid_options',
      remedy: 'Give a plain function, or the URL of a module whose default export it is',
    })
  return source.startsWith('async ') ? `async function ${source.slice(6)}` : `function ${source}`
}

class PoolWorker<R, S> {
  readonly #worker: Worker
  #settle: { resolve: (answer: Answer<S>) => void; reject: (error: unknown) => void } | undefined

  constructor({ fn, batched, context }: PoolOptions<R, S>) {
    const source = fn instanceof URL ? undefined : sourceOf(fn)
    this.#worker = new Worker(WORKER_SOURCE, {
      eval: true,
      workerData: { source, module: fn instanceof URL ? fn.href : undefined, batched, context },
    })
    this.#worker.on('message', (answer: Answer<S>) => this.#settle?.resolve(answer))
    this.#worker.on('error', (error) => this.#settle?.reject(error))
    this.#worker.on('exit', (code) => this.#settle?.reject(new Error(`the worker thread ended with code ${code}`)))
  }
  run(rows: R[], first: number): Promise<Answer<S>> {
    return new Promise((resolve, reject) => {
      this.#settle = { resolve, reject }
      this.#worker.postMessage({ rows, first })
    })
  }
  stop() {
    this.#settle = undefined
    return this.#worker.terminate()
  }
}

/** Worker threads that run one function over chunks; results come in order, and at most two chunks a worker are held. */
export function createPool<R, S>(options: PoolOptions<R, S>) {
  async function* run(
    chunks: AsyncIterable<RowChunk<R>>,
    firstIndex: number,
    failure: (error: unknown, place: string) => TunesmithError,
  ): AsyncGenerator<RowChunk<S>> {
    const idle: PoolWorker<R, S>[] = []
    const workers: PoolWorker<R, S>[] = []
    const waiting: ((worker: PoolWorker<R, S>) => void)[] = []
    const acquire = async () => {
      const free = idle.pop()
      if (free) return free
      if (workers.length < options.workers) {
        const worker = new PoolWorker(options)
        workers.push(worker)
        return worker
      }
      return new Promise<PoolWorker<R, S>>((resolve) => waiting.push(resolve))
    }
    const release = (worker: PoolWorker<R, S>) => {
      const next = waiting.shift()
      if (next) next(worker)
      else idle.push(worker)
    }
    const work = async (chunk: RowChunk<R>, first: number): Promise<RowChunk<S>> => {
      const worker = await acquire()
      const place = (index: number) => chunk.where?.(index) ?? `row ${first + index}`
      let answer: Answer<S>
      try {
        answer = await worker.run(chunk.rows, first)
      } catch (error) {
        throw failure(error, place(0))
      }
      release(worker)
      if (answer.error) throw failure(explain(answer.error), place(Math.max(0, answer.failed ?? 0)))
      const rows = answer.rows!
      return { rows, where: rows.length === chunk.rows.length ? chunk.where : undefined }
    }

    const inFlight: Promise<RowChunk<S>>[] = []
    try {
      let first = firstIndex
      for await (const chunk of chunks) {
        const result = work(chunk, first)
        result.catch(() => undefined) // it is awaited in its turn below
        inFlight.push(result)
        first += chunk.rows.length
        if (inFlight.length >= 2 * options.workers) yield await inFlight.shift()!
      }
      while (inFlight.length > 0) yield await inFlight.shift()!
    } finally {
      await Promise.all(workers.map((worker) => worker.stop()))
    }
  }
  return { run }
}

function explain({ message, name, stack }: NonNullable<Answer<unknown>['error']>): Error {
  const hint =
    name === 'ReferenceError'
      ? '; in a worker a function sees only its arguments: pass what it needs as "context", or put it in a module'
      : ''
  const error = new Error(`${message}${hint}`)
  error.name = name
  if (stack) error.stack = stack
  return error
}
