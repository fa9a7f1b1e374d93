import { Worker } from 'node:worker_threads'

// Beside this file in the sources, and beside the bundle in the published package.
const WORKER = new URL(
  import.meta.url.endsWith('.ts') ? './parquet-worker.mjs' : './parquet-worker.js',
  import.meta.url,
)

/** Milliseconds between two looks at a decoder. */
const TICK = 500
/** Decoding runs at tens of megabytes a second; a file that computes for so many milliseconds is damaged. */
const timeLimit = (bytes: number) => 5000 + bytes / 500
/** What a damaged file may ask for before it is stopped; sound ones stay far below. In megabytes. */
const memoryLimit = (bytes: number) => 1024 + Math.ceil((32 * bytes) / 2 ** 20)

/** The decoder ran away and was stopped. */
export class DecoderStopped extends Error {}

interface Answer {
  result?: unknown
  error?: { message: string; code?: string; column?: string; told: boolean }
}

/** The values of a column, or its different values and the number of each row's. */
export type ColumnValues = unknown[] | { dictionary: unknown[]; indices: Uint32Array }

/** A thread that decodes one Parquet file at a time. */
export interface ParquetDecoder {
  /** Column names, and the rows and decoded bytes of each row group. */
  open(path: string): Promise<{ columns: string[]; groups: { rows: number; bytes: number }[] }>
  /** The values of the columns in one row group. */
  read(group: number, columns: string[]): Promise<ColumnValues[]>
  close(): Promise<void>
}

class DecoderThread {
  readonly #worker: Worker
  readonly megabytes: number
  #settle: { resolve(value: never): void; reject(error: unknown): void } | undefined
  #last: Promise<unknown> = Promise.resolve()
  dead = false

  constructor(megabytes: number) {
    this.megabytes = megabytes
    this.#worker = new Worker(WORKER, { resourceLimits: { maxOldGenerationSizeMb: megabytes } })
    this.#worker.on('message', ({ result, error }: Answer) => {
      if (error) this.#settle?.reject(Object.assign(new Error(error.message), error))
      else this.#settle?.resolve(result as never)
    })
    this.#worker.on('error', (error: NodeJS.ErrnoException) => {
      this.dead = true
      const cause =
        error.code === 'ERR_WORKER_OUT_OF_MEMORY' ? new DecoderStopped('it asks for too much memory') : error
      this.#settle?.reject(cause)
    })
    this.#worker.on('exit', () => {
      this.dead = true
      this.#settle?.reject(new DecoderStopped('the decoder ended'))
    })
    this.#worker.unref()
  }

  /** One request at a time: the next is sent when the one before has been answered. */
  ask<Result>(request: object, milliseconds: number): Promise<Result> {
    const answer = this.#last.then(() => this.#send<Result>(request, milliseconds))
    this.#last = answer.catch(() => undefined)
    return answer
  }

  #send<Result>(request: object, milliseconds: number): Promise<Result> {
    if (this.dead) return Promise.reject(new DecoderStopped('the decoder ended'))
    return new Promise<Result>((resolve, reject) => {
      // Computing time is counted, not waiting: on a busy machine, or while this thread is held up, nothing runs away.
      let [spent, before] = [0, process.cpuUsage()]
      const timer = setInterval(() => {
        const { user, system } = process.cpuUsage(before)
        before = process.cpuUsage()
        spent += Math.min(TICK, (user + system) / 1000)
        if (spent < milliseconds) return
        done()
        this.stop()
        reject(new DecoderStopped('decoding does not come to an end'))
      }, TICK)
      const done = () => {
        clearInterval(timer)
        this.#settle = undefined
        this.#worker.unref()
      }
      this.#settle = {
        resolve(value) {
          done()
          resolve(value)
        },
        reject(error) {
          done()
          reject(error)
        },
      }
      this.#worker.ref()
      this.#worker.postMessage(request)
    })
  }

  stop(): void {
    this.dead = true
    void this.#worker.terminate()
  }
}

/** Starting a thread takes longer than reading a small file, so one is kept for the next file. */
let idle: DecoderThread | undefined

/** A decoder for a file of this many bytes; `close` gives its thread back. */
export function leaseDecoder(bytes: number): ParquetDecoder {
  const megabytes = memoryLimit(bytes)
  let thread: DecoderThread
  if (idle && !idle.dead && idle.megabytes >= megabytes) {
    thread = idle
    idle = undefined
  } else thread = new DecoderThread(megabytes)
  const limit = timeLimit(bytes)
  return {
    open: (path) => thread.ask({ path }, limit),
    read: (group, columns) => thread.ask({ group, columns }, limit),
    async close() {
      if (!thread.dead) await thread.ask({ close: true }, limit).catch(() => thread.stop())
      if (thread.dead) return
      if (idle && !idle.dead) thread.stop()
      else idle = thread
    },
  }
}
