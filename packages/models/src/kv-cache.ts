import * as tf from '@tensorflow/tfjs-core'
import { type KeyRanges, kvCacheUpdate } from '@tunesmith/backend'
import { TunesmithError } from '@tunesmith/core'
import type { ModelConfig } from './model-config'

interface Layer {
  keys: tf.Variable<tf.Rank.R2>
  values: tf.Variable<tf.Rank.R2>
}

/** Where a forward pass writes keys and values, and where the keys of each of its sequences lie. */
export interface CacheRows {
  /** `[tokens]` */
  rows: Int32Array
  /** `[sequences]`, see {@link KeyRanges}. */
  kvStart: Int32Array
  kvLength: Int32Array
}

/** {@link CacheRows} as tensors. */
export type CacheTensors = KeyRanges & { rows: tf.Tensor1D }

/**
 * Keys and values of the tokens seen so far, preallocated: each sequence owns `capacity` consecutive rows.
 *
 * A forward pass announces its new tokens with {@link begin}; each layer then writes its keys and values in place.
 */
export class KvCache {
  readonly capacity: number
  /** Tokens held of each sequence, virtual ones not counted. */
  readonly lengths: Int32Array
  readonly #layers: (Layer | undefined)[]
  /** Of keys and values, by layer. */
  readonly #shapes: readonly [number, number][]
  #rows: CacheTensors | undefined
  readonly #virtual: number

  /** @param virtualTokens positions that an adapter puts before every sequence. Default 0. */
  constructor({ layers }: Pick<ModelConfig, 'layers'>, sequences: number, capacity: number, virtualTokens = 0) {
    this.capacity = capacity + virtualTokens
    this.#virtual = virtualTokens
    this.lengths = new Int32Array(sequences)
    this.#shapes = layers.map(({ numKeyValueHeads, headDim }) => [
      sequences * this.capacity,
      numKeyValueHeads * headDim,
    ])
    this.#layers = layers.map(() => undefined)
  }

  /**
   * Makes room for new tokens.
   *
   * @param sequences which sequences the coming forward pass has, in its order.
   * @param counts how many tokens of each.
   * @returns where the tokens go, for {@link use}.
   */
  reserve(sequences: ArrayLike<number>, counts: ArrayLike<number>): CacheRows {
    const rows: number[] = []
    const kvStart = new Int32Array(sequences.length)
    const kvLength = new Int32Array(sequences.length)
    for (let i = 0; i < sequences.length; i++) {
      const s = sequences[i]!
      const first = this.lengths[s]! === 0 ? 0 : this.#virtual + this.lengths[s]!
      const end = this.#virtual + this.lengths[s]! + counts[i]!
      if (end > this.capacity)
        throw new TunesmithError(`Sequence ${s} needs ${end} cache rows of ${this.capacity}`, { code: 'internal' })
      this.lengths[s]! += counts[i]!
      for (let row = first; row < end; row++) rows.push(s * this.capacity + row)
      kvStart[i] = s * this.capacity
      kvLength[i] = end
    }
    return { rows: Int32Array.from(rows), kvStart, kvLength }
  }

  /** Like {@link reserve}, for the next forward pass; the tensors belong to the surrounding `tf.tidy`. */
  begin(sequences: ArrayLike<number>, counts: ArrayLike<number>): void {
    const { rows, kvStart, kvLength } = this.reserve(sequences, counts)
    const tensor = (values: Int32Array) => tf.tensor1d(values, 'int32')
    this.use({ rows: tensor(rows), kvStart: tensor(kvStart), kvLength: tensor(kvLength) })
  }

  /** The rows that the coming forward passes write to and read, int32; they stay the caller's. */
  use(rows: CacheTensors | undefined): void {
    this.#rows = rows
  }

  /** Writes one layer's new keys and values; returns the whole cache of that layer and where each sequence lies in it. */
  append(layer: number, k: tf.Tensor2D, v: tf.Tensor2D): { keys: tf.Tensor2D; values: tf.Tensor2D; ranges: KeyRanges } {
    const { keys, values } = this.#layer(layer)
    const { rows, ...ranges } = this.#rows!
    kvCacheUpdate(keys, k, rows)
    kvCacheUpdate(values, v, rows)
    return { keys, values, ranges }
  }

  /** Made with its first use: a backend that stores activations in 16 bits never holds all layers in 32. */
  #layer(layer: number): Layer {
    const empty = () => tf.tidy(() => tf.variable(tf.fill<tf.Rank.R2>(this.#shapes[layer]!, 0), false))
    this.#layers[layer] ??= { keys: empty(), values: empty() }
    return this.#layers[layer]
  }

  /** Gives one sequence the keys and values of another. */
  copy(from: number, to: number): void {
    const length = this.lengths[from]!
    this.lengths[to] = length
    const held = length === 0 ? 0 : this.#virtual + length
    tf.tidy(() => {
      const rows = tf.range(to * this.capacity, to * this.capacity + held, 1, 'int32')
      for (const layer of this.#layers)
        for (const all of layer ? [layer.keys, layer.values] : [])
          kvCacheUpdate(all, tf.slice2d(all, [from * this.capacity, 0], [held, -1]), rows)
    })
  }

  dispose(): void {
    for (const layer of this.#layers) if (layer) tf.dispose([layer.keys, layer.values])
  }
}
