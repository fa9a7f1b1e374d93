import type { KvCache } from '../kv-cache'

/** What rows of the cache hold. */
interface Held {
  /** Tells adapters and their weights apart: keys and values are only those of one. */
  adapter: string
  tokens: readonly number[]
}

/**
 * Which sequences of a cache begin with which tokens, so that a prompt's beginning is copied instead of read. Sequences that nobody
 * continues stay until their rows are needed; the one unused for longest goes first.
 */
export class PrefixCache {
  readonly #cache: KvCache
  readonly #held = new Map<number, Held>()
  /** Of those, the ones that nobody continues, the one unused for longest first. */
  readonly #idle = new Set<number>()

  constructor(cache: KvCache) {
    this.#cache = cache
  }

  /** The rows of a sequence hold these tokens, more of which may come: the array is the sequence itself. */
  add(sequence: number, adapter: string, tokens: readonly number[]): void {
    this.#held.set(sequence, { adapter, tokens })
  }

  /** Nobody continues the sequence: what it holds may be copied, and goes when rows are needed. */
  release(sequence: number): void {
    const held = this.#held.get(sequence)!
    const length = this.#cache.lengths[sequence]!
    if (length === 0) {
      this.#remove(sequence)
      return
    }
    this.#held.set(sequence, { adapter: held.adapter, tokens: held.tokens.slice(0, length) })
    this.#cache.shrink(sequence, length)
    this.#idle.add(sequence)
  }

  #remove(sequence: number): void {
    this.#held.delete(sequence)
    this.#idle.delete(sequence)
    this.#cache.free(sequence)
  }

  /** The sequence that holds most of a prompt's beginning, and how many tokens of it. */
  longest(adapter: string, prompt: readonly number[]): { sequence: number; count: number } | undefined {
    let best: { sequence: number; count: number } | undefined
    for (const [sequence, held] of this.#held) {
      if (held.adapter !== adapter) continue
      const most = Math.min(this.#cache.lengths[sequence]!, prompt.length)
      let count = 0
      while (count < most && held.tokens[count] === prompt[count]) count++
      if (count > (best?.count ?? 0)) best = { sequence, count }
    }
    if (best && this.#idle.delete(best.sequence)) this.#idle.add(best.sequence)
    return best
  }

  /**
   * Rows for a new sequence, from idle ones where nothing else is free.
   *
   * @param keep a sequence that must stay.
   * @returns undefined when running sequences hold too many rows.
   */
  allot(tokens: number, keep?: number): number | undefined {
    for (;;) {
      const sequence = this.#cache.allot(tokens)
      if (sequence !== undefined) return sequence
      const oldest = [...this.#idle].find((idle) => idle !== keep)
      if (oldest === undefined) return undefined
      this.#remove(oldest)
    }
  }

  /** Drops what idle sequences hold: of one adapter, or all. */
  forget(adapter?: string): void {
    for (const sequence of [...this.#idle])
      if (adapter === undefined || this.#held.get(sequence)!.adapter === adapter) this.#remove(sequence)
  }
}
