import * as tf from '@tensorflow/tfjs-core'
import type { ModelInput } from './batch'

/**
 * Positions that an adapter puts before every sequence: prompt tuning gives their embeddings, prefix tuning their keys
 * and values. Positions of the real tokens move up by `count`; hidden states are returned for the real tokens only.
 */
export interface VirtualTokens {
  /** How many, before each sequence. */
  readonly count: number
  /** float32 `[count, hidden]`; they go through the blocks like tokens. Differentiable. */
  embeddings?(): tf.Tensor2D
  /** float32 `[count, numKvHeads * headDim]` each, as they are (no rotation), for one layer. Differentiable. */
  keyValues?(layer: number): { keys: tf.Tensor2D; values: tf.Tensor2D }
}

/** Where the virtual positions of a forward pass go. Host memory only, so that checkpointed blocks can use it again. */
export class VirtualLayout {
  /** Sequence boundaries with the virtual positions counted in. */
  readonly cuSeqlens: Int32Array
  /** Rotary positions of all rows; the virtual ones come first in their sequence. */
  readonly positions: Int32Array
  readonly #count: number
  readonly #starts: readonly boolean[]
  readonly #inner: Int32Array

  /** Virtual positions precede the sequences that start in this pass; those that go on in a cache have theirs already. */
  constructor({ positions, cuSeqlens }: Pick<ModelInput, 'positions' | 'cuSeqlens'>, count: number) {
    this.#count = count
    this.#inner = Int32Array.from(cuSeqlens)
    const sequences = this.#inner.length - 1
    this.#starts = Array.from({ length: sequences }, (_, s) => positions[this.#inner[s]!] === 0)
    this.cuSeqlens = new Int32Array(sequences + 1)
    const all: number[] = []
    for (let s = 0; s < sequences; s++) {
      if (this.#starts[s]) for (let i = 0; i < count; i++) all.push(i)
      for (let t = this.#inner[s]!; t < this.#inner[s + 1]!; t++) all.push(positions[t]! + count)
      this.cuSeqlens[s + 1] = all.length
    }
    this.positions = Int32Array.from(all)
  }

  /** Rows of real tokens `[tokens, d]` with `extra` `[count, d]` (zeros when absent) before each starting sequence. */
  extend(x: tf.Tensor2D, extra?: tf.Tensor2D): tf.Tensor2D {
    return tf.tidy(() => {
      const before = extra ?? tf.zeros<tf.Rank.R2>([this.#count, x.shape[1]])
      const parts: tf.Tensor2D[] = []
      this.#starts.forEach((starts, s) => {
        if (starts) parts.push(before)
        parts.push(this.#rows(x, this.#inner[s]!, this.#inner[s + 1]!))
      })
      return parts.length === 1 ? tf.clone(parts[0]!) : tf.concat2d(parts, 0)
    })
  }

  /** The rows of the real tokens out of rows that {@link extend} made. */
  strip(x: tf.Tensor2D): tf.Tensor2D {
    return tf.tidy(() => {
      const parts = this.#starts.map((starts, s) =>
        this.#rows(x, this.cuSeqlens[s]! + (starts ? this.#count : 0), this.cuSeqlens[s + 1]!),
      )
      return parts.length === 1 ? tf.clone(parts[0]!) : tf.concat2d(parts, 0)
    })
  }

  #rows(x: tf.Tensor2D, from: number, to: number): tf.Tensor2D {
    return from === 0 && to === x.shape[0] ? x : tf.slice2d(x, [from, 0], [to - from, -1])
  }
}
