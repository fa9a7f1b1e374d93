import * as tf from '@tensorflow/tfjs-core'
import { causalAttention, rotaryEmbedding, withoutRecording } from '@tunesmith/backend'
import type { ModelInput } from './batch'
import type { KvCache } from './kv-cache'
import type { LayerConfig, ModelConfig } from './model-config'
import { type RopeConfig, ropesOf, ropeTables } from './rope'
import { type SharedRows, takeRows } from './shared-prefixes'
import { VirtualLayout, type VirtualTokens } from './virtual-tokens'

/** What differs from the layer's and the model's own. */
export interface AttendOptions {
  slidingWindow?: number
  softcap?: number
  scale?: number
}

/** What all layers share during a forward pass, as tensors. */
export interface StepTensors {
  cuSeqlens: tf.Tensor1D
  /** By the model's distinct rotary positions, in their order: cosines and sines, and those of queries where they differ. */
  ropes: readonly { cos: tf.Tensor2D; sin: tf.Tensor2D; queryCos?: tf.Tensor2D; querySin?: tf.Tensor2D }[]
  /** int32 `[tokens]`, where positions are learned. */
  positions?: tf.Tensor1D
}

/** The rotary tables of some positions by name: `cos0`, `sin0`, `queryCos0`, ..., each flattened `[tokens, rotaryDim / 2]`. */
export function namedTables(
  config: ModelConfig,
  positions: ArrayLike<number>,
  cuSeqlens: ArrayLike<number>,
): Record<string, Float32Array> {
  const named: Record<string, Float32Array> = {}
  for (const [i, rope] of ropesOf(config).entries()) {
    const { keys, queries } = ropeTables(rope, positions, cuSeqlens)
    named[`cos${i}`] = keys.cos
    named[`sin${i}`] = keys.sin
    if (!queries) continue
    named[`queryCos${i}`] = queries.cos
    named[`querySin${i}`] = queries.sin
  }
  return named
}

/** The names of {@link namedTables} and the widths of the tables. */
export const tableWidths = (config: ModelConfig): [string, number][] =>
  ropesOf(config).flatMap((rope, i) =>
    [`cos${i}`, `sin${i}`, ...(rope.queryScalingBeta === 0 ? [] : [`queryCos${i}`, `querySin${i}`])].map(
      (name): [string, number] => [name, rope.rotaryDim / 2],
    ),
  )

/** Tensors of {@link namedTables} as the layers use them. */
export const tablesOf = (config: ModelConfig, named: Readonly<Record<string, tf.Tensor>>): StepTensors['ropes'] =>
  ropesOf(config).map(({ queryScalingBeta }, i) => {
    const table = (name: string) => named[`${name}${i}`] as tf.Tensor2D
    const keys = { cos: table('cos'), sin: table('sin') }
    return queryScalingBeta === 0 ? keys : { ...keys, queryCos: table('queryCos'), querySin: table('querySin') }
  })

/** Where the sequences of a forward pass are, and which of their tokens are computed. */
export interface StepPlace extends Pick<ModelInput, 'cuSeqlens'> {
  /** Of the computed rows. */
  positions: ArrayLike<number>
  /** Where a row stands for several tokens. */
  shared?: SharedRows | undefined
}

/**
 * Where the sequences of a forward pass are and how their positions rotate, in host memory: `tensors` makes tensors of it,
 * which belong to the surrounding `tf.tidy`, and `context` what the layers use, from those or from copies of them.
 */
export function stepPlan(
  config: ModelConfig,
  { positions, cuSeqlens, shared }: StepPlace,
  { cache, virtual, rounded }: Pick<StepOptions, 'cache' | 'rounded'> & { virtual?: VirtualTokens | undefined } = {},
): { tensors(): tf.Tensor[]; context(tensors: readonly tf.Tensor[]): StepContext } {
  const keyValues = virtual?.keyValues?.bind(virtual)
  const prefix = keyValues && { layout: new VirtualLayout({ positions, cuSeqlens }, virtual!.count), keyValues }
  const rotated = Array.from(positions, (position) => position + (prefix ? virtual!.count : 0))
  const tables = namedTables(config, rotated, cuSeqlens)
  const widths = tableWidths(config)
  return {
    tensors: () =>
      withoutRecording(() => [
        tf.tensor1d(Int32Array.from(cuSeqlens), 'int32'),
        ...widths.map(([name, width]) => tf.tensor2d(tables[name]!, [rotated.length, width])),
        ...(prefix ? [tf.tensor1d(prefix.layout.cuSeqlens, 'int32')] : []),
        ...(shared ? [shared.rowOf, shared.tokenOf].map((index) => tf.tensor1d(index, 'int32')) : []),
      ]),
    context([cuSeqlens, ...rest]) {
      const named = Object.fromEntries(widths.map(([name], i) => [name, rest[i]!]))
      const [extended] = rest.slice(widths.length) as tf.Tensor1D[]
      const [rowOf, tokenOf] = rest.slice(-2) as tf.Tensor1D[]
      const tensors = { cuSeqlens: cuSeqlens as tf.Tensor1D, ropes: tablesOf(config, named) }
      return new StepContext(config, tensors, {
        cache,
        rounded,
        prefix: prefix && { ...prefix, cuSeqlens: extended! },
        shared: shared && { rowOf: rowOf!, tokenOf: tokenOf! },
      })
    },
  }
}

/** Keys and values that stand before every sequence. */
interface Prefix {
  layout: VirtualLayout
  keyValues(layer: number): { keys: tf.Tensor2D; values: tf.Tensor2D }
}

interface StepOptions {
  cache?: KvCache | undefined
  prefix?: (Prefix & { cuSeqlens: tf.Tensor1D }) | undefined
  /** int32 `[tokens]` and `[computed]`; see {@link SharedRows}. */
  shared?: { rowOf: tf.Tensor1D; tokenOf: tf.Tensor1D } | undefined
  /** Attention's products may round their factors as those with 16-bit and quantized weights do. Default false. */
  rounded?: boolean | undefined
}

/** What all layers share during a forward pass: sequence boundaries, rotary tables, the cache. */
export class StepContext {
  readonly #ropes: readonly RopeConfig[]

  constructor(
    private readonly config: ModelConfig,
    private readonly tensors: StepTensors,
    private readonly options: StepOptions = {},
  ) {
    this.#ropes = ropesOf(config)
  }

  /** int32 `[tokens]`; only in a step of a model that has learned positions. */
  get positions(): tf.Tensor1D {
    return this.tensors.positions!
  }

  /** Rotates keys `[tokens, heads * headDim]` by their positions, as the layer does; as they are where it has none. */
  rotate(layer: LayerConfig, x: tf.Tensor2D): tf.Tensor2D {
    return this.#rotate(layer, x, false)
  }

  /** Likewise queries, which some families scale by their position. */
  rotateQueries(layer: LayerConfig, x: tf.Tensor2D): tf.Tensor2D {
    return this.#rotate(layer, x, true)
  }

  #rotate({ rope, headDim }: LayerConfig, x: tf.Tensor2D, isQuery: boolean): tf.Tensor2D {
    if (!rope) return x
    const { cos, sin, queryCos, querySin } = this.tensors.ropes[this.#ropes.indexOf(rope)]!
    const { rotaryDim } = rope
    const [c, s] = isQuery && queryCos && querySin ? [queryCos, querySin] : [cos, sin]
    return rotaryEmbedding(rope.interleaved ? apart(x, headDim) : x, c, s, { headDim, rotaryDim })
  }

  /**
   * Causal attention of rotated q over rotated k and v, and over what stands before them: the cache, keys and values of an
   * adapter. Window, scale and cap are the layer's. Returns `[tokens, heads * headDim]`.
   */
  attend(layer: LayerConfig, q: tf.Tensor2D, k: tf.Tensor2D, v: tf.Tensor2D, options: AttendOptions = {}): tf.Tensor2D {
    const { numAttentionHeads: numHeads, numKeyValueHeads: numKvHeads, headDim } = layer
    const { slidingWindow = layer.window, softcap = this.config.attentionSoftcap } = options
    const { scale = this.config.attentionScale } = options
    const { cache, prefix, shared, rounded = false } = this.options
    const attrs = { numHeads, numKvHeads, headDim, scale, slidingWindow, softcap, rounded }
    const { tensors } = this
    let [keys, values] = [k, v]
    if (prefix) {
      const before = prefix.keyValues(layer.index)
      keys = prefix.layout.extend(k, before.keys)
      values = prefix.layout.extend(v, before.values)
    }
    if (cache) {
      const all = cache.append(layer.index, keys, values)
      return causalAttention(q, all.keys, all.values, tensors.cuSeqlens, attrs, all.ranges)
    }
    if (shared) {
      const [queries, ...rest] = [q, k, v].map((x) => takeRows(x, shared.rowOf))
      return takeRows(causalAttention(queries!, rest[0]!, rest[1]!, tensors.cuSeqlens, attrs), shared.tokenOf)
    }
    if (!prefix) return causalAttention(q, keys, values, tensors.cuSeqlens, attrs)
    // Queries of zeros in the prefix' place: a gradient exists only where queries and keys are the same rows.
    const { layout, cuSeqlens } = prefix
    return layout.strip(causalAttention(layout.extend(q), keys, values, cuSeqlens, attrs))
  }
}

/** Heads of pairs (0, 1), (2, 3), ... with the first of each pair in the first half; attention does not mind the order. */
function apart(x: tf.Tensor2D, headDim: number): tf.Tensor2D {
  return tf.tidy(() => {
    const [tokens, width] = x.shape
    const pairs = tf.reshape(x, [tokens, width / headDim, headDim / 2, 2])
    return tf.reshape(tf.transpose(pairs, [0, 1, 3, 2]), [tokens, width])
  })
}
