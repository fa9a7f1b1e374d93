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

/** Consecutive rows of one sequence. */
interface Region {
  start: number
  rows: number
}

/**
 * Keys and values of the tokens seen so far, preallocated: each sequence owns consecutive rows, as many as all others or as many as it
 * was given by {@link allot}.
 *
 * A forward pass announces its new tokens with {@link begin}; each layer then writes its keys and values in place.
 */
export class KvCache {
  /** Tokens held of each sequence, virtual ones not counted. */
  readonly lengths: number[]
  readonly #layers: (Layer | undefined)[]
  /** Of keys and values, by layer. */
  readonly #shapes: readonly [number, number][]
  readonly #regions: (Region | undefined)[]
  readonly #total: number
  #rows: CacheTensors | undefined
  readonly #virtual: number

  /**
   * @param sequences that have `capacity` rows each from the start; 0 for a pool of `capacity` rows that {@link allot} gives out.
   * @param virtualTokens positions that an adapter puts before every sequence. Default 0.
   */
  constructor({ layers }: Pick<ModelConfig, 'layers'>, sequences: number, capacity: number, virtualTokens = 0) {
    const rows = capacity + virtualTokens
    this.#virtual = virtualTokens
    this.#total = sequences === 0 ? capacity : sequences * rows
    this.#regions = Array.from({ length: sequences }, (_, s) => ({ start: s * rows, rows }))
    this.lengths = Array.from({ length: sequences }, () => 0)
    this.#shapes = layers.map(({ numKeyValueHeads, headDim }) => [this.#total, numKeyValueHeads * headDim])
    this.#layers = layers.map(() => undefined)
  }

  /**
   * Gives an empty sequence rows for so many tokens, the first that are free.
   *
   * @returns the sequence's number; undefined when no gap is large enough.
   */
  allot(tokens: number): number | undefined {
    const rows = tokens + this.#virtual
    const taken = this.#regions.filter((region) => region !== undefined).sort((a, b) => a.start - b.start)
    let start = 0
    for (const region of taken) {
      if (region.start - start >= rows) break
      start = region.start + region.rows
    }
    if (start + rows > this.#total) return undefined
    const gone = this.#regions.indexOf(undefined)
    const sequence = gone < 0 ? this.#regions.length : gone
    this.#regions[sequence] = { start, rows }
    this.lengths[sequence] = 0
    return sequence
  }

  /** Gives back the rows of a sequence behind its first `tokens`; it holds no more of them. */
  shrink(sequence: number, tokens: number): void {
    this.lengths[sequence] = Math.min(this.lengths[sequence]!, tokens)
    this.#region(sequence).rows = this.#virtual + tokens
  }

  /** Gives back all rows of a sequence. */
  free(sequence: number): void {
    this.#regions[sequence] = undefined
    this.lengths[sequence] = 0
  }

  /** Rows that belong to sequences. */
  get usedRows(): number {
    return this.#regions.reduce((sum, region) => sum + (region?.rows ?? 0), 0)
  }

  get totalRows(): number {
    return this.#total
  }

  #region(sequence: number): Region {
    const region = this.#regions[sequence]
    if (!region) throw new TunesmithError(`Sequence ${sequence} has no cache rows`, { code: 'internal' })
    return region
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
      const region = this.#region(s)
      const first = this.lengths[s]! === 0 ? 0 : this.#virtual + this.lengths[s]!
      const end = this.#virtual + this.lengths[s]! + counts[i]!
      if (end > region.rows)
        throw new TunesmithError(`Sequence ${s} needs ${end} cache rows of ${region.rows}`, { code: 'internal' })
      this.lengths[s]! += counts[i]!
      for (let row = first; row < end; row++) rows.push(region.start + row)
      kvStart[i] = region.start
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

  /** Gives one sequence the keys and values of another, or of its first `tokens`. */
  copy(from: number, to: number, tokens = this.lengths[from]!): void {
    this.lengths[to] = tokens
    const held = tokens === 0 ? 0 : this.#virtual + tokens
    const [source, target] = [this.#region(from).start, this.#region(to).start]
    tf.tidy(() => {
      const rows = tf.range(target, target + held, 1, 'int32')
      for (const layer of this.#layers)
        for (const all of layer ? [layer.keys, layer.values] : [])
          kvCacheUpdate(all, tf.slice2d(all, [source, 0], [held, -1]), rows)
    })
  }

  dispose(): void {
    for (const layer of this.#layers) if (layer) tf.dispose([layer.keys, layer.values])
  }
}
