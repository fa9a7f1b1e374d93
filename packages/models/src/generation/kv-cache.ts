import * as tf from '@tensorflow/tfjs-core'
import { type KeyRanges, kvCacheUpdate } from '@tunesmith/backend'
import { TunesmithError } from '@tunesmith/core'
import type { ModelConfig } from '../config'

/**
 * Keys and values of the tokens seen so far, preallocated: each sequence owns `capacity` consecutive rows.
 *
 * A forward pass announces its new tokens with {@link begin}; each layer then writes its keys and values in place.
 */
export class KvCache {
  readonly capacity: number
  /** Tokens held of each sequence, virtual ones not counted. */
  readonly lengths: Int32Array
  readonly #layers: { keys: tf.Variable<tf.Rank.R2>; values: tf.Variable<tf.Rank.R2> }[]
  #rows: tf.Tensor1D | undefined
  #ranges: KeyRanges | undefined

  readonly #virtual: number

  /** @param virtualTokens positions that an adapter puts before every sequence. Default 0. */
  constructor(
    { numHiddenLayers, numKeyValueHeads, headDim }: ModelConfig,
    sequences: number,
    capacity: number,
    virtualTokens = 0,
  ) {
    this.capacity = capacity + virtualTokens
    this.#virtual = virtualTokens
    this.lengths = new Int32Array(sequences)
    const shape: [number, number] = [sequences * this.capacity, numKeyValueHeads * headDim]
    const empty = () => tf.tidy(() => tf.variable(tf.zeros<tf.Rank.R2>(shape), false))
    this.#layers = Array.from({ length: numHiddenLayers }, () => ({ keys: empty(), values: empty() }))
  }

  /**
   * Makes room for new tokens.
   *
   * @param sequences which sequences the coming forward pass has, in its order.
   * @param counts how many tokens of each.
   */
  begin(sequences: ArrayLike<number>, counts: ArrayLike<number>): void {
    const rows: number[] = []
    const starts: number[] = []
    for (let i = 0; i < sequences.length; i++) {
      const s = sequences[i]!
      const first = this.lengths[s]! === 0 ? 0 : this.#virtual + this.lengths[s]!
      this.lengths[s]! += counts[i]!
      const end = this.#virtual + this.lengths[s]!
      if (end > this.capacity)
        throw new TunesmithError(`Sequence ${s} needs ${end} cache rows of ${this.capacity}`, { code: 'internal' })
      for (let row = first; row < end; row++) rows.push(s * this.capacity + row)
      starts.push(s * this.capacity)
    }
    this.#releaseStep()
    this.#rows = tf.keep(tf.tensor1d(rows, 'int32'))
    this.#ranges = {
      kvStart: tf.keep(tf.tensor1d(starts, 'int32')),
      kvLength: tf.keep(
        tf.tensor1d(
          Array.from(sequences, (s) => this.#virtual + this.lengths[s]!),
          'int32',
        ),
      ),
    }
  }

  /** Writes one layer's new keys and values; returns the whole cache of that layer and where each sequence lies in it. */
  append(layer: number, k: tf.Tensor2D, v: tf.Tensor2D): { keys: tf.Tensor2D; values: tf.Tensor2D; ranges: KeyRanges } {
    const { keys, values } = this.#layers[layer]!
    kvCacheUpdate(keys, k, this.#rows!)
    kvCacheUpdate(values, v, this.#rows!)
    return { keys, values, ranges: this.#ranges! }
  }

  /** Gives one sequence the keys and values of another. */
  copy(from: number, to: number): void {
    const length = this.lengths[from]!
    this.lengths[to] = length
    const held = length === 0 ? 0 : this.#virtual + length
    tf.tidy(() => {
      const rows = tf.range(to * this.capacity, to * this.capacity + held, 1, 'int32')
      for (const { keys, values } of this.#layers)
        for (const all of [keys, values])
          kvCacheUpdate(all, tf.slice2d(all, [from * this.capacity, 0], [held, -1]), rows)
    })
  }

  #releaseStep(): void {
    tf.dispose([this.#rows, this.#ranges?.kvStart, this.#ranges?.kvLength].filter((t) => t !== undefined))
  }

  dispose(): void {
    this.#releaseStep()
    for (const { keys, values } of this.#layers) tf.dispose([keys, values])
  }
}
