import * as tf from '@tensorflow/tfjs-core'
import { causalAttention, rotaryEmbedding, rotaryTables, withoutRecording } from '@tunesmith/backend'
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

/**
 * Where the sequences of a forward pass are and how their positions rotate, in host memory: `tensors` makes tensors of it,
 * which belong to the surrounding `tf.tidy`, and `context` what the layers use, from those or from copies of them.
 */
export function stepPlan(
  config: ModelConfig,
  { positions, cuSeqlens }: Pick<ModelInput, 'positions' | 'cuSeqlens'>,
  cache?: KvCache,
  virtual?: VirtualTokens,
): { tensors(): tf.Tensor[]; context(tensors: readonly tf.Tensor[]): StepContext } {
  const { rope } = config
  const keyValues = virtual?.keyValues?.bind(virtual)
  const prefix = keyValues && { layout: new VirtualLayout({ positions, cuSeqlens }, virtual!.count), keyValues }
  const rotated = Array.from(positions, (position) => position + (prefix ? virtual!.count : 0))
  const longest = rotated.reduce((max, position) => Math.max(max, position + 1), 0)
  const { cos, sin } = rotaryTables(rotated, inverseFrequencies(rope, longest), rope.attentionFactor)
  const shape: [number, number] = [rotated.length, rope.rotaryDim / 2]
  return {
    tensors: () =>
      withoutRecording(() => [
        tf.tensor1d(Int32Array.from(cuSeqlens), 'int32'),
        tf.tensor2d(cos, shape),
        tf.tensor2d(sin, shape),
        ...(prefix ? [tf.tensor1d(prefix.layout.cuSeqlens, 'int32')] : []),
      ]),
    context(tensors) {
      const [cuSeqlens, cos, sin, extended] = tensors as [tf.Tensor1D, tf.Tensor2D, tf.Tensor2D, tf.Tensor1D?]
      return new StepContext(config, { cuSeqlens, cos, sin }, cache, prefix && { ...prefix, cuSeqlens: extended! })
    },
  }
}

/** Keys and values that stand before every sequence. */
interface Prefix {
  layout: VirtualLayout
  keyValues(layer: number): { keys: tf.Tensor2D; values: tf.Tensor2D }
}

/** What all layers share during a forward pass: sequence boundaries, rotary tables, the cache. */
export class StepContext {
  constructor(
    private readonly config: ModelConfig,
    private readonly tensors: { cuSeqlens: tf.Tensor1D; cos: tf.Tensor2D; sin: tf.Tensor2D },
    private readonly cache?: KvCache,
    private readonly prefix?: Prefix & { cuSeqlens: tf.Tensor1D },
  ) {}

  /** Rotates queries or keys `[tokens, heads * headDim]` by their positions. */
  rotate(x: tf.Tensor2D): tf.Tensor2D {
    const { headDim, rope } = this.config
    return rotaryEmbedding(x, this.tensors.cos, this.tensors.sin, { headDim, rotaryDim: rope.rotaryDim })
  }

  /**
   * Causal attention of rotated q over rotated k and v, and over what stands before them: the cache, keys and values of an
   * adapter. Returns `[tokens, heads * headDim]`.
   */
  attend(
    layer: number,
    q: tf.Tensor2D,
    k: tf.Tensor2D,
    v: tf.Tensor2D,
    { slidingWindow = 0, softcap = 0, scale }: AttendOptions = {},
  ): tf.Tensor2D {
    const { numAttentionHeads: numHeads, numKeyValueHeads: numKvHeads, headDim } = this.config
    const attrs = { numHeads, numKvHeads, headDim, scale: scale ?? headDim ** -0.5, slidingWindow, softcap }
    const { cache, prefix, tensors } = this
    let [keys, values] = [k, v]
    if (prefix) {
      const before = prefix.keyValues(layer)
      keys = prefix.layout.extend(k, before.keys)
      values = prefix.layout.extend(v, before.values)
    }
    if (cache) {
      const all = cache.append(layer, keys, values)
      return causalAttention(q, all.keys, all.values, tensors.cuSeqlens, attrs, all.ranges)
    }
    if (!prefix) return causalAttention(q, keys, values, tensors.cuSeqlens, attrs)
    // Queries of zeros in the prefix' place: a gradient exists only where queries and keys are the same rows.
    const { layout, cuSeqlens } = prefix
    return layout.strip(causalAttention(layout.extend(q), keys, values, cuSeqlens, attrs))
  }
}
