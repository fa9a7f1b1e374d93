import { availableParallelism } from 'node:os'
import { Worker } from 'node:worker_threads'
import { parseOptions, TunesmithError } from '@tunesmith/core'
import { z } from 'zod'
import { type Compare4bitOptions, prepareCompare4bit, type QuantizationError } from './error'
import { createConversions, type FloatData } from './floats'
import { blocks4bitModule, localKernels } from './fourBit/instance'
import { type CompareRange, createKernels, type DequantizeRange, type QuantizeRange } from './fourBit/kernels'
import {
  type Dequantize4bitOptions,
  prepareDequantize4bit,
  prepareQuantize4bit,
  type Quantize4bitOptions,
  type Quantized4bit,
} from './fourBit/quantize'

type Range = QuantizeRange | DequantizeRange | CompareRange
type Method = 'quantizeRange' | 'dequantizeRange' | 'compareRange'

/** Shares are whole chunks of this many elements (and so whole blocks), whatever the number of threads. */
const CHUNK = 65536

/** Below this many elements a thread's round trip costs more than it saves. */
const SMALLEST_TO_SHARE = 1 << 19

// The loops go to the workers as source text, which works alike from sources, from the bundle and under a test runner.
// A bundler that keeps function names wraps them in __name.
const workerSource = () => `
const __name = (value) => value
const { parentPort, workerData } = require('node:worker_threads')
const createConversions = ${createConversions.toString()}
const createKernels = ${createKernels.toString()}
const kernels = createKernels(workerData, createConversions())
parentPort.on('message', ({ method, range }) => {
  kernels[method](range)
  parentPort.postMessage(null)
})`

const poolOptions = z.strictObject({
  /** Default: one per core the process may use. */
  threads: z.int().positive().optional(),
})

/** Quantizes in worker threads; results are those of the functions of the same name, bit for bit. */
export interface QuantizationPool {
  readonly threads: number
  quantize4bit(options: Quantize4bitOptions): Promise<Quantized4bit>
  /** Without `out` the result of a large weight lies in a SharedArrayBuffer, where the threads wrote it. */
  dequantize4bit(options: Dequantize4bitOptions & { dtype: 'float32' }): Promise<Float32Array>
  dequantize4bit(options: Dequantize4bitOptions): Promise<FloatData>
  /** What 4-bit quantization lost of `data`, without holding the dequantized weight. */
  compare4bit(options: Compare4bitOptions): Promise<QuantizationError>
  /** Ends the threads. An idle pool does not keep the process alive, so forgetting this is harmless. */
  close(): Promise<void>
}

/**
 * Starts worker threads that quantize and dequantize one weight at a time, each thread a share of its blocks.
 *
 * Data in a SharedArrayBuffer is read where it is, other data is copied into one.
 *
 * @throws {TunesmithError} `invalid_options`; the methods throw `internal` when a thread dies.
 */
export function createQuantizationPool(options: z.input<typeof poolOptions> = {}): QuantizationPool {
  const { threads = availableParallelism() } = parseOptions(poolOptions, options, 'createQuantizationPool')
  let workers: Worker[] = []
  let last: Promise<unknown> = Promise.resolve()

  const start = () => {
    const source = workerSource()
    workers = Array.from({ length: threads }, () => {
      const worker = new Worker(source, { eval: true, workerData: blocks4bitModule() })
      worker.unref()
      return worker
    })
  }

  const post = (worker: Worker, method: Method, range: Range) =>
    new Promise<void>((resolve, reject) => {
      const settle = (error?: Error) => {
        worker.off('message', settleWell).off('error', settle).off('exit', settleGone)
        worker.unref()
        if (error) reject(new TunesmithError(`A thread failed: ${error.message}`, { code: 'internal', cause: error }))
        else resolve()
      }
      const settleWell = () => settle()
      const settleGone = (code: number) => settle(new Error(`it ended with code ${code}`))
      worker.on('message', settleWell).on('error', settle).on('exit', settleGone)
      worker.ref()
      worker.postMessage({ method, range })
    })

  /** Splits the range, a share per thread, and waits for all; one range at a time. Small ranges stay in this thread. */
  const run = (method: Method, range: Range): Promise<void> => {
    if (isSmall(range.end)) return Promise.resolve(localKernels()[method](range as never))
    const work = async () => {
      if (workers.length === 0) start()
      const share = Math.ceil(range.end / CHUNK / threads) * CHUNK
      const jobs: Promise<void>[] = []
      for (const worker of workers) {
        const begin = jobs.length * share
        if (begin >= range.end) break
        jobs.push(post(worker, method, { ...range, begin, end: Math.min(range.end, begin + share) }))
      }
      const failed = (await Promise.allSettled(jobs)).find((result) => result.status === 'rejected')
      if (failed) throw failed.reason
    }
    const done = last.then(work)
    last = done.catch(() => undefined)
    return done
  }

  const isSmall = (count: number) => threads === 1 || count < SMALLEST_TO_SHARE

  return {
    threads,
    async quantize4bit(options) {
      const { range, finish } = prepareQuantize4bit(options, !isSmall(options.data?.length ?? 0))
      await run('quantizeRange', range)
      return finish()
    },
    async dequantize4bit(options: Dequantize4bitOptions) {
      const count = 2 * (options.quantized?.packed?.length ?? 0)
      const { range, finish } = prepareDequantize4bit(options, !isSmall(count))
      await run('dequantizeRange', range)
      // Typed by the overloads: float32 in, Float32Array out.
      return finish() as Float32Array
    },
    async compare4bit(options) {
      const { range, finish } = prepareCompare4bit(options, !isSmall(options.data.length))
      await run('compareRange', range)
      return finish()
    },
    async close() {
      await last
      await Promise.all(workers.map((worker) => worker.terminate()))
      workers = []
    },
  }
}
