import { availableParallelism } from 'node:os'
import { parseOptions, WorkerPool } from '@tunesmith/core'
import { z } from 'zod'
import type { QuantizedWeight } from './bitsandbytes'
import { prepareCompare, type QuantizationError, quantizationError } from './error'
import { createConversions, type FloatData, type FloatDtype } from './floats'
import { blocks4bitModule } from './four-bit/instance'
import { createKernels } from './four-bit/kernels'
import {
  type Dequantize4bitOptions,
  dequantize4bit,
  prepareDequantize4bit,
  prepareQuantize4bit,
  type Quantize4bitOptions,
  type Quantized4bit,
  quantize4bit,
} from './four-bit/quantize'
import { createSharedMemory, type SharedMemory } from './four-bit/shared'
import { prepareQuantizeGguf, type QuantizeGgufOptions, quantizeGguf } from './gguf/gguf'
import { ggufKernelsText, scaleSearchModule } from './gguf/kernels'
import { prepareQuantizeInt8, type QuantizedInt8, type QuantizeInt8Options, quantizeInt8 } from './int8'
import { createInt8Kernels } from './int8-kernels'
import type { Task } from './task'

/** Below this many elements a thread's round trip costs more than it saves. */
const SMALLEST_TO_SHARE = 1 << 19

// The loops go to the threads as source text, which works alike from sources, from the bundle and under a test runner.
const work = () => `({ blocks4bit, scaleSearch }) => {
  const conversions = (${createConversions.toString()})()
  const kernels = {
    ...(${createKernels.toString()})(blocks4bit, conversions),
    ...(${createInt8Kernels.toString()})(conversions),
    ...${ggufKernelsText()},
  }
  return ({ method, range }) => kernels[method](range)
}`

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
  quantizeInt8(options: QuantizeInt8Options): Promise<QuantizedInt8>
  quantizeGguf(options: QuantizeGgufOptions): Promise<Uint8Array>
  /** What quantization lost of `data` (see `quantizationError`), without holding the dequantized weight. */
  compare(weight: {
    data: FloatData
    dtype?: FloatDtype | undefined
    quantized: QuantizedWeight
  }): Promise<QuantizationError>
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
  const pool = new WorkerPool({
    name: 'quantization',
    threads,
    work: work(),
    data: { blocks4bit: blocks4bitModule(), scaleSearch: scaleSearchModule() },
  })
  let last: Promise<unknown> = Promise.resolve()

  /** Splits a range in shares of whole units, one per thread, and waits for all. */
  const share = async ({ method, range, unit }: Task<unknown>): Promise<void> => {
    const size = Math.ceil(range.end / unit / threads) * unit
    const jobs: Promise<unknown>[] = []
    for (let begin = 0; begin < range.end; begin += size)
      jobs.push(pool.run({ method, range: { ...range, begin, end: Math.min(range.end, begin + size) } }))
    // All write to the same memory, which the next weight takes when this one is done.
    const failed = (await Promise.allSettled(jobs)).find((result) => result.status === 'rejected')
    if (failed) throw failed.reason
  }

  const memory = createSharedMemory()
  /** One weight at a time, because all use the same shared memory. */
  const exclusively = <Result>(work: () => Promise<Result>): Promise<Result> => {
    const done = last.then(work)
    last = done.catch(() => undefined)
    return done
  }
  const run = <Result>(prepare: (memory: SharedMemory) => Task<Result>): Promise<Result> =>
    exclusively(async () => {
      const task = prepare(memory)
      await share(task)
      return task.finish()
    })

  const isSmall = (count = 0) => threads === 1 || count < SMALLEST_TO_SHARE

  return {
    threads,
    async quantize4bit(options) {
      if (isSmall(options.data?.length)) return quantize4bit(options)
      return run((memory) => prepareQuantize4bit(options, memory))
    },
    async dequantize4bit(options: Dequantize4bitOptions) {
      // Typed by the overloads: float32 in, Float32Array out.
      if (isSmall(2 * options.quantized?.packed?.length)) return dequantize4bit(options) as Float32Array
      return (await run((memory) => prepareDequantize4bit(options, memory))) as Float32Array
    },
    async quantizeInt8(options) {
      if (isSmall(options.data?.length)) return quantizeInt8(options)
      return run((memory) => prepareQuantizeInt8(options, memory))
    },
    async quantizeGguf(options) {
      if (isSmall(options.data?.length)) return quantizeGguf(options)
      return run((memory) => prepareQuantizeGguf(options, memory))
    },
    async compare({ data, dtype, quantized }) {
      if (isSmall(data.length)) return quantizationError({ data, dtype, quantized })
      return run((memory) => prepareCompare({ data, dtype, quantized }, memory))
    },
    async close() {
      await last
      await pool.close()
    },
  }
}
