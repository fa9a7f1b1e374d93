import { invalidData } from '@tunesmith/core'

const SHORT = 48

/**
 * The merge table of a byte-pair encoding and the loop that applies it: always the pair with the lowest rank, the
 * leftmost one on a tie, until no neighbouring pair is in the table (Sennrich et al. 2016, as `tokenizers` does it).
 */
export class Merges {
  private readonly mask: number
  private readonly left: Int32Array
  private readonly right: Int32Array
  private readonly rank: Int32Array
  private readonly result: Int32Array
  // Scratch of the linked list and the heap, grown on demand and reused.
  private next = new Int32Array(256)
  private previous = new Int32Array(256)
  private ranks = new Int32Array(256)
  private heap = new Float64Array(256)
  private heapSize = 0

  /** @param merges left id, right id and merged id of each, in order of rank; of two equal pairs the later one counts. */
  constructor(merges: Int32Array) {
    const count = merges.length / 3
    const slots = 2 ** Math.ceil(Math.log2(Math.max(count, 8) * 2))
    this.mask = slots - 1
    this.left = new Int32Array(slots).fill(-1)
    this.right = new Int32Array(slots)
    this.rank = new Int32Array(slots)
    this.result = new Int32Array(count)
    let rank = 0
    for (; rank < count; rank++) {
      const [left, right, merged] = [merges[3 * rank]!, merges[3 * rank + 1]!, merges[3 * rank + 2]!]
      let slot = this.slot(left, right)
      while (this.left[slot] !== -1 && !(this.left[slot] === left && this.right[slot] === right))
        slot = (slot + 1) & this.mask
      this.left[slot] = left
      this.right[slot] = right
      this.rank[slot] = rank
      this.result[rank] = merged
    }
  }

  private slot(left: number, right: number): number {
    let h = Math.imul(left, 0x9e3779b1) ^ Math.imul(right, 0x85ebca6b)
    h ^= h >>> 15
    return Math.imul(h, 0x2c1b3c6d) & this.mask
  }

  /** The rank of the pair, or -1. */
  find(left: number, right: number): number {
    let slot = this.slot(left, right)
    for (;;) {
      const key = this.left[slot]!
      if (key === -1) return -1
      if (key === left && this.right[slot] === right) return this.rank[slot]!
      slot = (slot + 1) & this.mask
    }
  }

  /** Merges `symbols[0..count)` in place and returns how many are left. */
  apply(symbols: Int32Array, count: number): number {
    if (count < 2) return count
    return count <= SHORT ? this.applyShort(symbols, count) : this.applyLong(symbols, count)
  }

  /** Looking for the smallest rank again after each merge is the fastest way for the lengths words have. */
  private applyShort(symbols: Int32Array, count: number): number {
    const ranks = this.ranks
    for (let i = 0; i + 1 < count; i++) ranks[i] = this.find(symbols[i]!, symbols[i + 1]!)
    while (count > 1) {
      let best = -1
      let lowest = 0x7fffffff
      for (let i = 0; i + 1 < count; i++) {
        const rank = ranks[i]!
        if (rank !== -1 && rank < lowest) {
          lowest = rank
          best = i
        }
      }
      if (best === -1) return count
      symbols[best] = this.result[lowest]!
      count--
      for (let i = best + 1; i < count; i++) {
        symbols[i] = symbols[i + 1]!
        ranks[i] = ranks[i + 1]!
      }
      if (best > 0) ranks[best - 1] = this.find(symbols[best - 1]!, symbols[best]!)
      if (best + 1 < count) ranks[best] = this.find(symbols[best]!, symbols[best + 1]!)
    }
    return count
  }

  /** A linked list of symbols and a heap of pairs; an entry whose pair has changed since is skipped when it comes up. */
  private applyLong(symbols: Int32Array, count: number): number {
    this.link(symbols, count)
    const { next } = this
    while (this.heapSize > 0) {
      const key = this.pop()
      const rank = Math.floor(key / 2 ** 31)
      const at = key - rank * 2 ** 31
      const after = next[at]!
      if (symbols[at] === -1 || after === -1 || this.find(symbols[at]!, symbols[after]!) !== rank) continue
      this.join(symbols, at, after, rank)
    }
    let kept = 0
    for (let i = 0; i !== -1; i = next[i]!) symbols[kept++] = symbols[i]!
    return kept
  }

  /**
   * The same for symbols that each have a length, which is that of both parts after a merge. An entry of the heap counts
   * as long as its pair still makes the same token, as in the original: unknown symbols can make that matter.
   */
  applyWithLengths(symbols: Int32Array, lengths: Int32Array, count: number): number {
    if (count < 2) return count
    this.link(symbols, count)
    const { next } = this
    while (this.heapSize > 0) {
      const key = this.pop()
      const rank = Math.floor(key / 2 ** 31)
      const at = key - rank * 2 ** 31
      const after = next[at]!
      if (symbols[at] === -1 || after === -1) continue
      const now = this.find(symbols[at]!, symbols[after]!)
      if (now === -1 || this.result[now] !== this.result[rank]) continue
      lengths[at]! += lengths[after]!
      this.join(symbols, at, after, rank)
    }
    let kept = 0
    for (let i = 0; i !== -1; i = next[i]!) {
      lengths[kept] = lengths[i]!
      symbols[kept++] = symbols[i]!
    }
    return kept
  }

  /** Makes the list of symbols and the heap of their pairs. */
  private link(symbols: Int32Array, count: number): void {
    if (count >= 2 ** 31) throw invalidData('a text of over 2^31 symbols')
    if (this.next.length < count) {
      this.next = new Int32Array(count * 2)
      this.previous = new Int32Array(count * 2)
    }
    const { next, previous } = this
    this.heapSize = 0
    for (let i = 0; i < count; i++) {
      next[i] = i + 1 < count ? i + 1 : -1
      previous[i] = i - 1
      if (i + 1 < count) this.pushPair(symbols, i, i + 1)
    }
  }

  /** Puts what a rule makes of two neighbours in the place of both, with the pairs that come of it. */
  private join(symbols: Int32Array, at: number, after: number, rank: number): void {
    const { next, previous } = this
    symbols[at] = this.result[rank]!
    symbols[after] = -1
    const beyond = next[after]!
    next[at] = beyond
    if (beyond !== -1) {
      previous[beyond] = at
      this.pushPair(symbols, at, beyond)
    }
    if (previous[at] !== -1) this.pushPair(symbols, previous[at]!, at)
  }

  private pushPair(symbols: Int32Array, at: number, after: number): void {
    const rank = this.find(symbols[at]!, symbols[after]!)
    if (rank === -1) return
    const key = rank * 2 ** 31 + at
    if (this.heapSize === this.heap.length) {
      const grown = new Float64Array(this.heap.length * 2)
      grown.set(this.heap)
      this.heap = grown
    }
    const heap = this.heap
    let child = this.heapSize++
    while (child > 0) {
      const parent = (child - 1) >> 1
      if (heap[parent]! <= key) break
      heap[child] = heap[parent]!
      child = parent
    }
    heap[child] = key
  }

  private pop(): number {
    const heap = this.heap
    const top = heap[0]!
    const last = heap[--this.heapSize]!
    const size = this.heapSize
    let parent = 0
    for (let child = 1; child < size; child = 2 * parent + 1) {
      if (child + 1 < size && heap[child + 1]! < heap[child]!) child++
      if (heap[child]! >= last) break
      heap[parent] = heap[child]!
      parent = child
    }
    heap[parent] = last
    return top
  }
}
