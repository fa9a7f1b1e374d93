import * as tf from '@tensorflow/tfjs-core'
import { causalAttention, type RotaryTables, rotaryEmbedding, rotaryTables, withoutRecording } from '@tunesmith/backend'
import type { ModelInput } from './batch'
import type { ModelConfig } from './config'
import type { KvCache } from './generation/kv-cache'
import { inverseFrequencies } from './rope'

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

  constructor(
    readonly config: ModelConfig,
    { positions, cuSeqlens }: Omit<ModelInput, 'inputIds'>,
    readonly cache?: KvCache,
  ) {
    this.#cuSeqlens = Int32Array.from(cuSeqlens)
    let longest = 0
    for (let i = 0; i < positions.length; i++) longest = Math.max(longest, positions[i]! + 1)
    this.#tables = rotaryTables(positions, inverseFrequencies(config.rope, longest), config.rope.attentionFactor)
  }

  /** The plan as tensors, which belong to the surrounding `tf.tidy`. */
  open(): StepContext {
    return withoutRecording(() => {
      const shape: [number, number] = [
        this.#tables.cos.length / (this.config.rope.rotaryDim / 2),
        this.config.rope.rotaryDim / 2,
      ]
      const tensors = {
        cuSeqlens: tf.tensor1d(this.#cuSeqlens, 'int32'),
        cos: tf.tensor2d(this.#tables.cos, shape),
        sin: tf.tensor2d(this.#tables.sin, shape),
      }
      return new StepContext(this.config, tensors, this.cache)
    })
  }
}

/** What all layers share during a forward pass: sequence boundaries, rotary tables, the cache. */
export class StepContext {
  readonly #config: ModelConfig
  readonly #cuSeqlens: tf.Tensor1D
  readonly #cos: tf.Tensor2D
  readonly #sin: tf.Tensor2D
  readonly #cache: KvCache | undefined

  constructor(
    config: ModelConfig,
    { cuSeqlens, cos, sin }: { cuSeqlens: tf.Tensor1D; cos: tf.Tensor2D; sin: tf.Tensor2D },
    cache?: KvCache,
  ) {
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
    if (!this.#cache) return causalAttention(q, k, v, this.#cuSeqlens, attrs)
    const { keys, values, ranges } = this.#cache.append(layer, k, v)
    return causalAttention(q, keys, values, this.#cuSeqlens, attrs, ranges)
  }
}
