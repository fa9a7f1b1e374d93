import { availableParallelism } from 'node:os'
import { abortedError, createProgress, createTurns, errorAt, type Progress, WorkerPool } from '@tunesmith/core'
import type { TokenizerState } from '../tokenizer-state'
import { chunksOf } from './chunks'
import { threadWork } from './worker-source'

export interface BatchOptions {
  /**
   * Worker threads. 0 does everything on this thread, in slices of a few milliseconds. Default: this thread begins,
   * and as many threads as there are cores, at most four, take over when the rest would take it more than a second.
   */
  threads?: number | undefined
  /** Ends the work with the error `aborted`. */
  signal?: AbortSignal | undefined
  /** Shows progress under this name, once the work has taken half a second. */
  label?: string | undefined
}

/** What is done to chunks of items, here or in a thread. */
export interface BatchWork<Item, Result> {
  /** The name under which a thread finds the work. */
  kind: string
  /** What a thread is told besides the items. */
  options?: unknown
  /** What a thread is sent of an item. Default all of it. */
  send?: (item: Item) => unknown
  /** An item's place, for an error that says in its property `row` which item of the chunk it is about. */
  where?: (index: number) => string
  here(items: readonly Item[]): Result
}

/** What a thread makes its own tokenizer of. */
export interface ThreadData {
  state: TokenizerState
  /** tokenizer.json in UTF-8, as it was read: threads share it, where copying the parsed one would block this thread. */
  jsonBytes: SharedArrayBuffer | undefined
  fastEngine: boolean
  fileLimits: boolean
}

/** A few milliseconds of work: enough to hide the cost of a message to a thread. */
const CHUNK_UNITS = 1 << 13
/** After so long on this thread it is worked out what the rest would take. */
const TRIAL_MS = 300
/** Each thread reads the vocabulary, which takes up to a second. */
const WORTH_THREADS_MS = 1200
const SILENT_MS = 500

/** Works on many items in chunks, on this thread and on worker threads, which stay for some seconds for the next call. */
export class BatchRunner {
  private current: { key: string; pool: WorkerPool } | undefined

  constructor(private readonly data: () => ThreadData) {}

  /**
   * Results of consecutive chunks, in order, each with the index of its first item.
   *
   * @throws the error of the first chunk that failed.
   */
  async run<Item, Result>(
    { kind, options, send = (item) => item, where, here }: BatchWork<Item, Result>,
    items: readonly Item[],
    { threads, signal, label }: BatchOptions = {},
  ): Promise<{ first: number; result: Result }[]> {
    const parts: { first: number; result: Result }[] = []
    const chunks = chunksOf(items, CHUNK_UNITS, send)
    const start = performance.now()
    let done = 0
    const failures: { first: number; error: { row?: number } }[] = []
    let progress: Progress | undefined
    const work = async (one: (chunk: readonly Item[]) => Result | Promise<Result>, goOn = () => true) => {
      while (failures.length === 0 && goOn()) {
        const [first, end] = chunks.next().value ?? []
        if (first === undefined) return
        try {
          if (signal?.aborted) throw abortedError(label ?? 'Tokenizing', signal)
          parts.push({ first, result: await one(items.slice(first, end)) })
          done += end! - first
        } catch (error) {
          failures.push({ first, error: error as { row?: number } })
        }
        if (label && performance.now() - start > SILENT_MS)
          progress ??= createProgress({ label, total: items.length, initial: done })
        progress?.update(done)
      }
    }

    const turns = createTurns()
    let lanes: Promise<unknown> | undefined
    let threadsAnswer = false
    const startThreads = async (count: number) => {
      const pool = await this.pool(count)
      const one = async (chunk: readonly Item[]) => {
        try {
          const result = await pool.run<Result>({ kind, items: chunk.map(send), options }, { signal })
          threadsAnswer = true
          return result
        } catch (error) {
          // What cannot be sent, like a function in a row or what is nested too deep, has its result or its error here.
          if ((error as Error).name !== 'DataCloneError' && !(error instanceof RangeError)) throw error
          await turns()
          return here(chunk)
        }
      }
      // Two chunks per thread under way: the next one is there when one is done.
      await Promise.all(Array.from({ length: 2 * count }, () => work(one)))
    }
    if (threads) await startThreads(threads)
    else {
      const most = threads ?? (availableParallelism() > 1 ? Math.min(4, availableParallelism()) : 0)
      await work(
        async (chunk) => {
          const result = here(chunk)
          await turns()
          const spent = performance.now() - start
          const rest = (spent / Math.max(1, done)) * (items.length - done)
          if (!lanes && most > 0 && spent > TRIAL_MS && rest > WORTH_THREADS_MS) lanes = startThreads(most)
          return result
        },
        () => !threadsAnswer,
      )
      await lanes
    }
    progress?.finish()
    const [failure] = failures.sort((a, b) => a.first - b.first)
    if (failure) {
      const { first, error } = failure
      throw error.row === undefined || !where ? error : errorAt(where(first + error.row), error)
    }
    return parts.sort((a, b) => a.first - b.first)
  }

  /** Ends the threads; the next call starts new ones. */
  async close(): Promise<void> {
    const { current } = this
    this.current = undefined
    await current?.pool.close()
  }

  /** The threads' pool; a new one when the tokenizer has changed since the last one was made. */
  private async pool(threads: number): Promise<WorkerPool> {
    const data = this.data()
    const { json, chatTemplates, specialTokens } = data.state
    const key = JSON.stringify([threads, json.added_tokens, chatTemplates, specialTokens])
    if (this.current?.key === key) return this.current.pool
    const work = await threadWork()
    void this.close()
    this.current = { key, pool: new WorkerPool({ name: 'tokenizer', threads, work, data, jsonSources: true }) }
    return this.current.pool
  }
}
