import { invalidOptions, WorkerPool } from '@tunesmith/core'
import type { AnyFunction } from './options'

interface WorkOptions {
  batched: boolean
  context: unknown
}

/** Rows of a chunk, and the index of the first. */
interface Job {
  rows: unknown[]
  first: number
}

/** A failure of the user's function; `row` is the place in the chunk, absent for a batched function. */
export type RowFailure = Error & { row?: number }

/**
 * The work on a chunk: all of its rows to a batched function, else one after the other. Self-contained, because threads get
 * it as source text.
 */
export function createRowWork(fn: (...args: unknown[]) => unknown, { batched, context }: WorkOptions) {
  if (typeof fn !== 'function') throw new TypeError('the module has no function as its default export')
  return async ({ rows, first }: Job): Promise<unknown[]> => {
    if (batched) {
      const results = await fn(rows, first, context)
      if (!Array.isArray(results)) throw new TypeError('a batched function must return a list of rows')
      return results
    }
    const results: unknown[] = new Array(rows.length)
    for (let row = 0; row < rows.length; row++) {
      try {
        const result = fn(rows[row], first + row, context)
        // Awaiting only what is a promise keeps plain functions fast.
        results[row] = result instanceof Promise ? await result : result
        if (results[row] === undefined) throw new TypeError('it returned undefined')
      } catch (error) {
        throw Object.assign(error instanceof Error ? error : new Error(String(error)), { row })
      }
    }
    return results
  }
}

/** A method written in shorthand (`map(row) {...}`) is no expression on its own. */
function sourceOf(fn: (...args: never[]) => unknown): string {
  const source = Function.prototype.toString.call(fn)
  if (/^(async\s+)?(function\b|\(|[\w$]+\s*=>)/.test(source)) return source
  if (source.includes('[native code]'))
    throw invalidOptions('A bound or native function cannot run in a worker thread', {
      remedy: 'Give a plain function, or the URL of a module whose default export it is',
    })
  return source.startsWith('async ') ? `async function ${source.slice(6)}` : `function ${source}`
}

/** Threads that run one function over chunks of rows. */
export function createRowThreads<R, S>(fn: AnyFunction<R, S>, workers: number, options: WorkOptions) {
  const code = fn instanceof URL ? `(await import(${JSON.stringify(fn.href)})).default` : `(${sourceOf(fn)})`
  const work = `async (options) => (${createRowWork})(${code}, options)`
  const pool = new WorkerPool({ name: 'map', threads: workers, work, data: options, jsonSources: true })
  return {
    async run(job: Job): Promise<unknown[]> {
      return pool.run<unknown[]>(job).catch((error: RowFailure) => {
        if (error.name === 'ReferenceError')
          error.message +=
            '; in a worker a function sees only its arguments: pass what it needs as "context", or put it in a module'
        throw error
      })
    },
    close: () => pool.close(),
  }
}
