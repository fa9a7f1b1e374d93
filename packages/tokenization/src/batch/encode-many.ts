import { availableParallelism } from 'node:os'
import type { Engine } from '../engine/engine'
import { chunksOf, type EncodedChunk, encodeChunk } from './encode-chunk'
import { EncodePool } from './pool'

/** About a megabyte of text a message: enough to hide its cost, little enough to keep memory flat. */
const CHUNK = 1 << 20
/** From this much text on, starting threads (each reads the vocabulary once) pays. */
const WORTH_THREADS = 48 << 20

/** Encodes many texts on this thread or on a pool, which is kept for the next time. */
export class BatchEncoder {
  private pool: { size: number; started: Promise<EncodePool> } | undefined

  constructor(
    private readonly engine: Engine,
    private readonly data: () => unknown,
  ) {}

  /** Calls `take` with each chunk of encoded texts and the index of its first text, in any order. */
  async encode(
    texts: readonly string[],
    threads: number | undefined,
    take: (first: number, chunk: EncodedChunk) => void,
  ): Promise<void> {
    const size = threads ?? (this.worthThreads(texts) ? Math.min(4, availableParallelism()) : 0)
    const chunks = chunksOf(texts, CHUNK)
    if (size === 0) {
      for (const [from, to] of chunks) {
        take(from, encodeChunk(this.engine, texts.slice(from, to)))
        await new Promise(setImmediate) // let timers and sockets have their turn
      }
      return
    }
    if (this.pool?.size !== size) {
      void this.close()
      this.pool = { size, started: EncodePool.start(size, this.data()) }
    }
    const pool = await this.pool!.started
    const work = async (thread: number) => {
      for (const [from, to] of chunks) take(from, await pool.encode(thread, texts.slice(from, to)))
    }
    // Two chunks per thread under way: the next one is there when one is done.
    await Promise.all(Array.from({ length: size * 2 }, (_, i) => work(i % size)))
  }

  /** Ends the threads; the next call starts new ones. */
  async close(): Promise<void> {
    const pool = this.pool
    this.pool = undefined
    await (await pool?.started)?.close()
  }

  private worthThreads(texts: readonly string[]): boolean {
    if (availableParallelism() < 2) return false
    let units = 0
    for (const text of texts) {
      units += text.length
      if (units > WORTH_THREADS) return true
    }
    return false
  }
}
