import type { Worker } from 'node:worker_threads'
import { TunesmithError } from '@tunesmith/core'
import type { EncodedChunk } from './encode-chunk'
import { startWorker } from './start-worker'

interface Job {
  resolve(chunk: EncodedChunk): void
  reject(error: Error): void
}

type Answer = { job: number } & (EncodedChunk | { error: string })

/** Threads that encode chunks of texts. They keep nothing alive: a program ends when its own work is done. */
export class EncodePool {
  private readonly jobs = new Map<number, Job>()
  private count = 0

  private constructor(private readonly workers: Worker[]) {
    for (const worker of workers) {
      worker.unref()
      worker.on('message', (answer: Answer) => this.take(answer))
      worker.on('error', (error) => this.fail(error))
      worker.on('exit', () => this.fail(new Error('it has ended')))
    }
  }

  /** @param data what a worker needs to build the same engine. */
  static async start(size: number, data: unknown): Promise<EncodePool> {
    return new EncodePool(await Promise.all(Array.from({ length: size }, () => startWorker(data))))
  }

  get size(): number {
    return this.workers.length
  }

  /** Encodes a chunk on the given thread. */
  encode(thread: number, texts: readonly string[]): Promise<EncodedChunk> {
    const job = this.count++
    const worker = this.workers[thread]!
    worker.ref()
    return new Promise<EncodedChunk>((resolve, reject) => {
      this.jobs.set(job, { resolve, reject })
      worker.postMessage({ job, texts })
    }).finally(() => worker.unref())
  }

  async close(): Promise<void> {
    await Promise.all(this.workers.map((worker) => worker.terminate()))
  }

  private take(answer: Answer): void {
    const job = this.jobs.get(answer.job)
    this.jobs.delete(answer.job)
    if ('error' in answer) job?.reject(new TunesmithError(answer.error, { code: 'invalid_data', where: 'encodeBatch' }))
    else job?.resolve(answer)
  }

  private fail(error: Error): void {
    for (const job of this.jobs.values())
      job.reject(new TunesmithError(`A tokenizer thread failed: ${error.message}`, { code: 'internal', cause: error }))
    this.jobs.clear()
  }
}
