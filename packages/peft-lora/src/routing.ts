import * as tf from '@tensorflow/tfjs-core'
import { TunesmithError } from '@tunesmith/core'
import type { CausalLM, EmbeddingModule, LinearModule } from '@tunesmith/models'
import type { AdapterLayer, Below, LayerCall } from './adapter'

/** A layer and what sets its dropout masks apart from those of other layers. */
export interface StackedLayer {
  layer: AdapterLayer
  index: number
}

/** What all layers share from step to step. */
export interface CallState {
  training: boolean
  seed: number
  /** See {@link LayerCall.reuse}. */
  readonly reuse: object | undefined
}

/** The name of no adapter at all, in a batch where each sequence says which one it wants (PEFT's word). */
export const BASE_NAME = '__base__'

const callOf = ({ training, seed, reuse }: CallState, index: number): LayerCall => ({
  training,
  reuse,
  seed: (seed + Math.imul(index, 0x85ebca6b)) | 0,
})

/** A linear layer through its stack of active adapters, the first one nearest to the weight. */
export function throughStack(
  module: LinearModule,
  stack: readonly StackedLayer[],
  x: tf.Tensor2D,
  state: CallState,
): tf.Tensor2D {
  let below: Below<tf.Tensor2D> = { forward: (input) => module.forwardBase(input), isModule: true }
  for (const { layer, index } of stack) {
    if (!layer.forward) continue
    const under = below
    below = { forward: (input) => layer.forward!(input, under, callOf(state, index)), isModule: false }
  }
  return below.forward(x)
}

/** Likewise the embeddings. */
export function embedThroughStack(
  module: EmbeddingModule,
  stack: readonly StackedLayer[],
  ids: tf.Tensor1D,
  state: CallState,
): tf.Tensor2D {
  let below: Below<tf.Tensor1D> = { forward: (input) => module.forwardBase(input), isModule: true }
  for (const { layer, index } of stack) {
    if (!layer.embed) continue
    const under = below
    below = { forward: (input) => layer.embed!(input, under, callOf(state, index)), isModule: false }
  }
  return below.forward(ids)
}

interface Rows {
  name: string
  from: number
  to: number
}

/** Neighbouring sequences with the same adapter, as ranges of rows. */
function ranges(names: readonly string[], cuSeqlens: ArrayLike<number>): Rows[] {
  const found: Rows[] = []
  names.forEach((name, s) => {
    const last = found.at(-1)
    if (last?.name === name) last.to = cuSeqlens[s + 1]!
    else found.push({ name, from: cuSeqlens[s]!, to: cuSeqlens[s + 1]! })
  })
  return found
}

/**
 * A linear layer in a batch where every sequence has its own adapter.
 *
 * Where all layers involved are additions, all rows go through the base weight together and each range of rows gets its
 * adapter's addition; otherwise each range goes through its own layer.
 */
export function throughMixture(
  model: CausalLM,
  module: LinearModule,
  layers: ReadonlyMap<string, StackedLayer>,
  x: tf.Tensor2D,
  state: CallState,
): tf.Tensor2D {
  const { names, cuSeqlens } = model.adapterNames!
  const parts = ranges(names, cuSeqlens)
  const used = parts.flatMap(({ name }) => layers.get(name) ?? [])
  if (used.length === 0) return module.forwardBase(x)
  return tf.tidy(() => {
    const slice = ({ from, to }: Rows) => tf.slice2d(x, [from, 0], [to - from, -1])
    if (!state.training && used.every(({ layer }) => layer.delta)) {
      const additions = parts.map((rows) => {
        const layer = layers.get(rows.name)?.layer
        return layer
          ? layer.delta!(slice(rows))
          : tf.zeros<tf.Rank.R2>([rows.to - rows.from, module.weight.outFeatures])
      })
      return tf.add(module.forwardBase(x), tf.concat2d(additions, 0)) as tf.Tensor2D
    }
    const outputs = parts.map((rows) => {
      const stacked = layers.get(rows.name)
      return throughStack(module, stacked ? [stacked] : [], slice(rows), state)
    })
    return tf.concat2d(outputs, 0)
  })
}

/** Likewise the embeddings. */
export function embedThroughMixture(
  model: CausalLM,
  module: EmbeddingModule,
  layers: ReadonlyMap<string, StackedLayer>,
  ids: tf.Tensor1D,
  state: CallState,
): tf.Tensor2D {
  const { names, cuSeqlens } = model.adapterNames!
  return tf.tidy(() =>
    tf.concat2d(
      ranges(names, cuSeqlens).map(({ name, from, to }) => {
        const stacked = layers.get(name)
        return embedThroughStack(module, stacked ? [stacked] : [], tf.slice1d(ids, from, to - from), state)
      }),
      0,
    ),
  )
}

/** @throws {TunesmithError} for a name nobody loaded, or a batch that cannot be mixed. */
export function checkNames(names: readonly string[], known: ReadonlyMap<string, unknown>, obstacle?: string): void {
  const unknown = [...new Set(names)].filter((name) => name !== BASE_NAME && !known.has(name))
  if (unknown.length > 0)
    throw new TunesmithError(`There is no adapter named ${unknown.join(', ')}`, {
      code: 'not_found',
      where: 'adapterNames',
      remedy: `Loaded are ${[...known.keys()].join(', ')}; ${BASE_NAME} is the model without adapter`,
    })
  if (obstacle)
    throw new TunesmithError(`${obstacle} cannot be in a batch that mixes adapters`, {
      code: 'unsupported',
      where: 'adapterNames',
      remedy: 'Run the sequences of each adapter in a batch of their own, with setAdapter',
    })
}
