import { TunesmithError, WorkerPool } from '@tunesmith/core'
import type { RowChunk } from '../rows'
import type { AnyFunction } from './options'

interface WorkOptions<R, S> {
  fn: AnyFunction<R, S>
  batched: boolean
  workers: number
  context: unknown
}

/** A failure of the user's function in a thread; `row` is the place in the chunk, absent for a batched function. */
export type RowFailure = Error & { row?: number }

// The threads' work. The user's function comes in place of FUNCTION.
const WORK = `async ({ batched, context }) => {
  const fn = FUNCTION
  if (typeof fn !== 'function') throw new TypeError('the module has no function as its default export')
  return async ({ rows, first }) => {
    if (batched) {
      const result = await fn(rows, first, context)
      if (!Array.isArray(result)) throw new TypeError('a batched function must return a list of rows')
      return result
    }
    const result = new Array(rows.length)
    for (let row = 0; row < rows.length; row++) {
      try {
        result[row] = await fn(rows[row], first + row, context)
        if (result[row] === undefined) throw new TypeError('it returned undefined')
      } catch (error) {
        throw Object.assign(error instanceof Error ? error : new Error(String(error)), { row })
      }
    }
    return result
  }
}`

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

/** Threads that run one function over chunks of rows; `run` takes a chunk and the index of its first row. */
export function createRowThreads<R, S>({ fn, batched, workers, context }: WorkOptions<R, S>) {
  const code = fn instanceof URL ? `(await import(${JSON.stringify(fn.href)})).default` : `(${sourceOf(fn)})`
  const work = WORK.replace('FUNCTION', () => code)
  const pool = new WorkerPool({ name: 'map', threads: workers, work, data: { batched, context } })
  return {
    async run({ rows }: RowChunk<R>, first: number): Promise<S[]> {
      return pool.run<S[]>({ rows, first }).catch((error: RowFailure) => {
        if (error.name === 'ReferenceError')
          error.message +=
            '; in a worker a function sees only its arguments: pass what it needs as "context", or put it in a module'
        throw error
      })
    },
    close: () => pool.close(),
  }
}
