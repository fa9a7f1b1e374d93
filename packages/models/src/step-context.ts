import * as tf from '@tensorflow/tfjs-core'
import {
  type CausalAttentionAttrs,
  causalAttention,
  type RotaryTables,
  rotaryEmbedding,
  rotaryTables,
  withoutRecording,
} from '@tunesmith/backend'
import type { ModelInput } from './batch'
import type { KvCache } from './kv-cache'
import type { ModelConfig } from './model-config'
import { inverseFrequencies } from './rope'
import { VirtualLayout, type VirtualTokens } from './virtual-tokens'

export interface AttendOptions {
  slidingWindow?: number
  softcap?: number
  /** Default `1 / sqrt(headDim)`. */
  scale?: number
}

/** Where the sequences of a forward pass lie and how their positions rotate, in host memory. */
export class StepPlan {
  readonly #tables: RotaryTables
  readonly #cuSeqlens: Int32Array
  readonly #prefix: Prefix | undefined

  constructor(
    readonly config: ModelConfig,
    input: Pick<ModelInput, 'positions' | 'cuSeqlens'>,
    readonly cache?: KvCache,
    virtual?: VirtualTokens,
  ) {
    this.#cuSeqlens = Int32Array.from(input.cuSeqlens)
    let { positions } = input
    if (virtual?.keyValues) {
      this.#prefix = {
        layout: new VirtualLayout(input, virtual.count),
        keyValues: (layer) => virtual.keyValues!(layer),
      }
      positions = Array.from(positions, (position) => position + virtual.count)
    }
    let longest = 0
    for (let i = 0; i < positions.length; i++) longest = Math.max(longest, positions[i]! + 1)
    this.#tables = rotaryTables(positions, inverseFrequencies(config.rope, longest), config.rope.attentionFactor)
  }

  /** The plan as tensors, which belong to the surrounding `tf.tidy`: what {@link context} takes. */
  tensors(): tf.Tensor[] {
    return withoutRecording(() => {
      const half = this.config.rope.rotaryDim / 2
      const shape: [number, number] = [this.#tables.cos.length / half, half]
      return [
        tf.tensor1d(this.#cuSeqlens, 'int32'),
        tf.tensor2d(this.#tables.cos, shape),
        tf.tensor2d(this.#tables.sin, shape),
        ...(this.#prefix ? [tf.tensor1d(this.#prefix.layout.cuSeqlens, 'int32')] : []),
      ]
    })
  }

  /** What the layers use, on the tensors of {@link tensors} or copies of them. */
  context(tensors: readonly tf.Tensor[]): StepContext {
    const [cuSeqlens, cos, sin, extended] = tensors as [tf.Tensor1D, tf.Tensor2D, tf.Tensor2D, tf.Tensor1D?]
    const prefix = this.#prefix && { ...this.#prefix, cuSeqlens: extended! }
    return new StepContext(this.config, { cuSeqlens, cos, sin }, this.cache, prefix)
  }
}

/** Keys and values that stand before every sequence. */
interface Prefix {
  layout: VirtualLayout
  keyValues(layer: number): { keys: tf.Tensor2D; values: tf.Tensor2D }
}

/** What all layers share during a forward pass: sequence boundaries, rotary tables, the cache. */
export class StepContext {
  readonly #config: ModelConfig
  readonly #cuSeqlens: tf.Tensor1D
  readonly #cos: tf.Tensor2D
  readonly #sin: tf.Tensor2D
  readonly #cache: KvCache | undefined
  readonly #prefix: (Prefix & { cuSeqlens: tf.Tensor1D }) | undefined

  constructor(
    config: ModelConfig,
    { cuSeqlens, cos, sin }: { cuSeqlens: tf.Tensor1D; cos: tf.Tensor2D; sin: tf.Tensor2D },
    cache?: KvCache,
    prefix?: Prefix & { cuSeqlens: tf.Tensor1D },
  ) {
    this.#prefix = prefix
    this.#config = config
    this.#cuSeqlens = cuSeqlens
    this.#cos = cos
    this.#sin = sin
    this.#cache = cache
  }

  /** Rotates queries or keys `[tokens, heads * headDim]` by their positions. */
  rotate(x: tf.Tensor2D): tf.Tensor2D {
    const { headDim, rope } = this.#config
    return rotaryEmbedding(x, this.#cos, this.#sin, { headDim, rotaryDim: rope.rotaryDim })
  }

  /** Causal attention of rotated q over rotated k and v, and over what the cache holds. Returns `[tokens, heads * headDim]`. */
  attend(
    layer: number,
    q: tf.Tensor2D,
    k: tf.Tensor2D,
    v: tf.Tensor2D,
    { slidingWindow = 0, softcap = 0, scale }: AttendOptions = {},
  ): tf.Tensor2D {
    const { numAttentionHeads: numHeads, numKeyValueHeads: numKvHeads, headDim } = this.#config
    const attrs = { numHeads, numKvHeads, headDim, scale: scale ?? headDim ** -0.5, slidingWindow, softcap }
    if (this.#prefix) return this.#attendPrefix(this.#prefix, layer, q, k, v, attrs)
    if (!this.#cache) return causalAttention(q, k, v, this.#cuSeqlens, attrs)
    const { keys, values, ranges } = this.#cache.append(layer, k, v)
    return causalAttention(q, keys, values, this.#cuSeqlens, attrs, ranges)
  }

  /** Attention over keys and values that stand before every sequence as well. */
  #attendPrefix(
    { layout, cuSeqlens, keyValues }: Prefix & { cuSeqlens: tf.Tensor1D },
    layer: number,
    q: tf.Tensor2D,
    k: tf.Tensor2D,
    v: tf.Tensor2D,
    attrs: CausalAttentionAttrs,
  ): tf.Tensor2D {
    const before = keyValues(layer)
    const [allKeys, allValues] = [layout.extend(k, before.keys), layout.extend(v, before.values)]
    if (this.#cache) {
      const { keys, values, ranges } = this.#cache.append(layer, allKeys, allValues)
      return causalAttention(q, keys, values, this.#cuSeqlens, attrs, ranges)
    }
    // Queries of zeros in the prefix' place: a gradient exists only where queries and keys are the same rows.
    return layout.strip(causalAttention(layout.extend(q), allKeys, allValues, cuSeqlens, attrs))
  }
}
