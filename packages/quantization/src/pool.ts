import { availableParallelism } from 'node:os'
import { Worker } from 'node:worker_threads'
import { parseOptions, TunesmithError } from '@tunesmith/core'
import { z } from 'zod'
import { createConversions, type FloatData } from './floats'
import { blocks4bitModule, localKernels } from './fourBit/instance'
import { createKernels, type DequantizeRange, type QuantizeRange } from './fourBit/kernels'
import {
  type Dequantize4bitOptions,
  prepareDequantize4bit,
  prepareQuantize4bit,
  type Quantize4bitOptions,
  type Quantized4bit,
} from './fourBit/quantize'

type Job = { quantize: QuantizeRange } | { dequantize: DequantizeRange }

/** Below this a thread's round trip costs more than it saves. */
const SMALLEST_SHARE = 1 << 18

// The loops go to the workers as source text, which works alike from sources, from the bundle and under a test runner.
// A bundler that keeps function names wraps them in __name.
const workerSource = () => `
const __name = (value) => value
const { parentPort, workerData } = require('node:worker_threads')
const createConversions = ${createConversions.toString()}
const createKernels = ${createKernels.toString()}
const kernels = createKernels(workerData, createConversions())
parentPort.on('message', ({ quantize, dequantize }) => {
  if (quantize) kernels.quantizeRange(quantize)
  else kernels.dequantizeRange(dequantize)
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
  dequantize4bit(options: Dequantize4bitOptions & { dtype: 'float32' }): Promise<Float32Array>
  dequantize4bit(options: Dequantize4bitOptions): Promise<FloatData>
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

  const post = (worker: Worker, job: Job) =>
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
      worker.postMessage(job)
    })

  /** Splits the range at block boundaries, a share per thread, and waits for all; one range at a time. */
  const run = <Range extends QuantizeRange | DequantizeRange>(range: Range, jobOf: (share: Range) => Job) => {
    const work = async () => {
      if (workers.length === 0) start()
      const blocks = Math.ceil(range.end / range.blocksize)
      const perThread = Math.ceil(blocks / threads) * range.blocksize
      const jobs: Promise<void>[] = []
      for (const worker of workers) {
        const begin = jobs.length * perThread
        if (begin >= range.end) break
        jobs.push(post(worker, jobOf({ ...range, begin, end: Math.min(range.end, begin + perThread) })))
      }
      const failed = (await Promise.allSettled(jobs)).find((result) => result.status === 'rejected')
      if (failed) throw failed.reason
    }
    const done = last.then(work)
    last = done.catch(() => undefined)
    return done
  }

  const isSmall = (count: number) => threads === 1 || count < 2 * SMALLEST_SHARE

  return {
    threads,
    async quantize4bit(options) {
      const here = isSmall(options.data?.length ?? 0)
      const { range, finish } = prepareQuantize4bit(options, !here)
      if (here) localKernels().quantizeRange(range)
      else await run(range, (quantize) => ({ quantize }))
      return finish()
    },
    async dequantize4bit(options: Dequantize4bitOptions) {
      const here = isSmall(2 * (options.quantized?.packed?.length ?? 0))
      const { range, finish } = prepareDequantize4bit(options, !here)
      if (here) localKernels().dequantizeRange(range)
      else await run(range, (dequantize) => ({ dequantize }))
      // Typed by the overloads: float32 in, Float32Array out.
      return finish() as Float32Array
    },
    async close() {
      await last
      await Promise.all(workers.map((worker) => worker.terminate()))
      workers = []
    },
  }
}
