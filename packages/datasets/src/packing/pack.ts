import { invalidOptions } from '@tunesmith/core'

/** A stretch of one sequence: tokens `start` to `end` (exclusive) of sequence `index`. */
export interface PackedSlice {
  index: number
  start: number
  end: number
}

/** Sequences that share one row of at most `capacity` tokens, in the order they lie in it. */
export type PackedBin = PackedSlice[]

function checkCapacity(capacity: number, where: string) {
  if (!Number.isInteger(capacity) || capacity < 1)
    throw invalidOptions(`The capacity must be a whole number of tokens above 0, not ${capacity}`, { where })
}

/**
 * Finds the least free space that still fits, over the spaces 1..capacity, in O(log capacity):
 * a tree of maxima whose leaf `s` holds `s` while some bin has exactly that much room.
 */
class FreeSpaces {
  readonly #tree: Uint32Array
  readonly #leaves: number

  constructor(capacity: number) {
    this.#leaves = 2 ** Math.ceil(Math.log2(capacity))
    this.#tree = new Uint32Array(2 * this.#leaves)
  }
  set(space: number, present: boolean) {
    let node = this.#leaves + space - 1
    this.#tree[node] = present ? space : 0
    for (node >>= 1; node >= 1; node >>= 1)
      this.#tree[node] = Math.max(this.#tree[2 * node]!, this.#tree[2 * node + 1]!)
  }
  smallestFitting(length: number): number {
    let node = 1
    while (node < this.#leaves) node = this.#tree[2 * node]! >= length ? 2 * node : 2 * node + 1
    return this.#tree[node]!
  }
}

export interface BestFitOptions {
  /** Longer sequences lose their end (`truncate`, TRL's `bfd`) or become several (`split`, `bfd_split`). Default truncate. */
  overflow?: 'truncate' | 'split'
}

/**
 * Best-fit-decreasing packing, giving TRL's bins in TRL's order: longest sequence first (earlier row first on ties),
 * each into the fullest bin that still fits; of equally full bins, the one that has been so for longest. Empty sequences
 * are left out. ("Fewer Truncations Improve Language Modeling", arXiv 2404.10830; TRL `pack_dataset`.)
 *
 * @param lengths tokens in each sequence.
 * @param capacity tokens in a bin.
 */
export function packBestFitDecreasing(
  lengths: ArrayLike<number>,
  capacity: number,
  { overflow = 'truncate' }: BestFitOptions = {},
): PackedBin[] {
  checkCapacity(capacity, 'packBestFitDecreasing')
  const slices: PackedSlice[] = []
  for (let index = 0; index < lengths.length; index++) {
    const length = lengths[index]!
    if (overflow === 'truncate') {
      if (length > 0) slices.push({ index, start: 0, end: Math.min(length, capacity) })
    } else
      for (let start = 0; start < length; start += capacity)
        slices.push({ index, start, end: Math.min(length, start + capacity) })
  }
  slices.sort((a, b) => b.end - b.start - (a.end - a.start))

  const spaces = new FreeSpaces(capacity)
  spaces.set(capacity, true) // an empty bin is always at hand
  const waiting = new Map<number, { bins: PackedBin[]; next: number }>()
  const bins: PackedBin[] = []
  for (const slice of slices) {
    const length = slice.end - slice.start
    const space = spaces.smallestFitting(length)
    let bin: PackedBin
    if (space < capacity) {
      const queue = waiting.get(space)!
      bin = queue.bins[queue.next++]!
      if (queue.next === queue.bins.length) {
        waiting.delete(space)
        spaces.set(space, false)
      }
    } else {
      bin = []
      bins.push(bin)
    }
    bin.push(slice)
    const left = space - length
    if (left > 0) {
      const queue = waiting.get(left)
      if (queue) queue.bins.push(bin)
      else waiting.set(left, { bins: [bin], next: 0 })
      spaces.set(left, true)
    }
  }
  return bins
}

/**
 * Wrapped packing: the sequences end to end, cut every `capacity` tokens wherever that falls (TRL's `wrapped`).
 * Every bin but the last is full.
 */
export function packWrapped(lengths: ArrayLike<number>, capacity: number): PackedBin[] {
  checkCapacity(capacity, 'packWrapped')
  const bins: PackedBin[] = []
  let bin: PackedBin = []
  let room = capacity
  for (let index = 0; index < lengths.length; index++) {
    const length = lengths[index]!
    for (let start = 0; start < length; ) {
      const end = Math.min(length, start + room)
      bin.push({ index, start, end })
      room -= end - start
      start = end
      if (room === 0) {
        bins.push(bin)
        bin = []
        room = capacity
      }
    }
  }
  if (bin.length > 0) bins.push(bin)
  return bins
}
