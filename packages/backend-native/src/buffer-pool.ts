import { TunesmithError } from '@tunesmith/core'
import type { Addon } from './addon'

/** Below this many bytes a tensor is an ordinary array: the garbage collector is cheaper than a pool. */
export const POOLED_BYTES = 16384
/** The pool may keep this much beyond the most that was ever in use at once. */
const SLACK_BYTES = 128 * 1024 * 1024

/** What the native backend's tensors take, in bytes. */
export interface NativeMemory {
  /** In use by tensors of pooled size. */
  live: number
  /** Free and kept for the next tensor. */
  pooled: number
  /** The most that was in use at once since the start or {@link BufferPool.resetPeak}. */
  peak: number
}

/**
 * Memory for tensors, allocated by the addon (64-byte aligned, huge pages) and reused by size.
 *
 * A training step asks for the same sizes again and again; what it gave back serves the next one without a page fault.
 * Buffers of other sizes are returned to the system when live and pooled memory together outgrow the peak.
 */
export class BufferPool {
  readonly #addon: Addon
  /** Free buffers by size; the map's order is the order of last use, oldest first. */
  readonly #free = new Map<number, ArrayBuffer[]>()
  readonly #owned = new WeakSet<ArrayBufferLike>()
  #memory: NativeMemory = { live: 0, pooled: 0, peak: 0 }

  constructor(addon: Addon) {
    this.#addon = addon
  }

  memory(): NativeMemory {
    return { ...this.#memory }
  }

  resetPeak(): void {
    this.#memory.peak = this.#memory.live
  }

  /** True for memory that this pool may hand out again. */
  owns(buffer: ArrayBufferLike): boolean {
    return this.#owned.has(buffer)
  }

  /** An uninitialised buffer of at least `bytes`. */
  allocate(bytes: number): ArrayBuffer {
    const size = sizeClass(bytes)
    const kept = this.#free.get(size)
    let buffer = kept?.pop()
    if (buffer) {
      if (kept!.length === 0) this.#free.delete(size)
      this.#memory.pooled -= size
    } else {
      this.trim(Math.max(this.#memory.peak, this.#memory.live + size) + SLACK_BYTES - this.#memory.live - size)
      buffer = this.#addon.allocateBuffer(size) ?? this.#lastResort(size)
      this.#owned.add(buffer)
    }
    this.#memory.live += size
    if (this.#memory.live > this.#memory.peak) this.#memory.peak = this.#memory.live
    return buffer
  }

  /** Takes a buffer back; the caller must hold no view of it any more. */
  release(buffer: ArrayBuffer): void {
    const size = buffer.byteLength
    const kept = this.#free.get(size) ?? []
    kept.push(buffer)
    this.#free.delete(size)
    this.#free.set(size, kept)
    this.#memory.live -= size
    this.#memory.pooled += size
  }

  /** Returns free buffers to the system, oldest first, until at most `limit` bytes are pooled. */
  trim(limit = 0): void {
    for (const [size, buffers] of this.#free) {
      while (this.#memory.pooled > limit && buffers.length > 0) {
        this.#addon.freeBuffer(buffers.pop()!)
        this.#memory.pooled -= size
      }
      if (buffers.length > 0) return
      this.#free.delete(size)
    }
  }

  #lastResort(size: number): ArrayBuffer {
    this.trim()
    this.#addon.trimScratch()
    const buffer = this.#addon.allocateBuffer(size)
    if (buffer) return buffer
    throw new TunesmithError(`No memory for a tensor of ${size} bytes; ${this.#memory.live} bytes are in use`, {
      code: 'out_of_memory',
      remedy: 'Use gradient checkpointing, shorter sequences, a smaller batch or a quantized model',
    })
  }
}

/** Rounds up so that nearly equal sizes share buffers: at most an eighth is wasted. */
function sizeClass(bytes: number): number {
  const step = 2 ** Math.max(12, Math.floor(Math.log2(bytes)) - 3)
  return Math.ceil(bytes / step) * step
}
