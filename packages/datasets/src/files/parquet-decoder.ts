import { isTunesmithError, WorkerPool } from '@tunesmith/core'

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

interface DecoderThread {
  pool: WorkerPool
  megabytes: number
}

/** Starting a thread takes longer than reading a small file, so one is kept for the next file. */
let idle: DecoderThread | undefined

function takeThread(megabytes: number): DecoderThread {
  if (!idle || idle.megabytes < megabytes) {
    // It has a file open, and must not end because the rows are taken slowly.
    const pool = new WorkerPool({ name: 'Parquet', threads: 1, work: WORKER, megabytes, idleMs: 2 ** 31 - 1 })
    return { pool, megabytes }
  }
  const thread = idle
  idle = undefined
  return thread
}

/** Does a job unless it computes for longer than so many milliseconds. */
async function runWithin<Result>(pool: WorkerPool, job: object, milliseconds: number): Promise<Result> {
  const stop = new AbortController()
  // Computing time is counted, not waiting: on a busy machine, or while this thread is held up, nothing runs away.
  let [spent, before] = [0, process.cpuUsage()]
  const timer = setInterval(() => {
    const { user, system } = process.cpuUsage(before)
    before = process.cpuUsage()
    spent += Math.min(TICK, (user + system) / 1000)
    if (spent >= milliseconds) stop.abort()
  }, TICK)
  try {
    return await pool.run<Result>(job, { signal: stop.signal })
  } catch (error) {
    if (stop.signal.aborted) {
      void pool.close()
      throw new DecoderStopped('decoding does not come to an end')
    }
    if (!isTunesmithError(error)) throw error
    throw new DecoderStopped(error.code === 'out_of_memory' ? 'it asks for too much memory' : error.message)
  } finally {
    clearInterval(timer)
  }
}

/** A decoder for a file of this many bytes; `close` gives its thread back. */
export function leaseDecoder(bytes: number): ParquetDecoder {
  const thread = takeThread(memoryLimit(bytes))
  const { pool } = thread
  const limit = timeLimit(bytes)
  return {
    open: (path) => runWithin(pool, { path }, limit),
    read: (group, columns) => runWithin(pool, { group, columns }, limit),
    async close() {
      await runWithin(pool, { close: true }, limit).catch(() => pool.close())
      if (idle) await pool.close()
      else idle = thread
    },
  }
}
