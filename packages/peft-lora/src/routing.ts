import * as tf from '@tensorflow/tfjs-core'
import { notFound, unsupported } from '@tunesmith/core'
import { BASE_NAME, type Pass } from '@tunesmith/models'
import type { AdapterLayer, Below, LayerCall } from './adapter'

/** A layer and what sets its dropout masks apart from those of other layers. */
export interface StackedLayer {
  layer: AdapterLayer
  index: number
}

/** What differs between linear layers (x `[tokens, in]`) and embeddings (ids `[tokens]`). */
interface Kind<Input extends tf.Tensor> {
  compute(layer: AdapterLayer): ((input: Input, below: Below<Input>, call: LayerCall) => tf.Tensor2D) | undefined
  rows(input: Input, from: number, to: number): Input
}

export const LINEAR: Kind<tf.Tensor2D> = {
  compute: (layer) => layer.forward && ((x, below, call) => layer.forward!(x, below, call)),
  rows: (x, from, to) => tf.slice2d(x, [from, 0], [to - from, -1]),
}

export const EMBEDDING: Kind<tf.Tensor1D> = {
  compute: (layer) => layer.embed && ((ids, below, call) => layer.embed!(ids, below, call)),
  rows: (ids, from, to) => tf.slice1d(ids, from, to - from),
}

interface Base<Input> {
  forwardBase(input: Input): tf.Tensor2D
}

/**
 * A module's override: through the stack of active layers, the first one nearest to the weight, or in a batch that names
 * adapters each sequence through its own.
 *
 * @param byName the layers on this module of all adapters.
 */
export function routed<Input extends tf.Tensor>(
  kind: Kind<Input>,
  stack: readonly StackedLayer[],
  byName: ReadonlyMap<string, StackedLayer>,
): (input: Input, module: Base<Input>, pass: Pass) => tf.Tensor2D {
  return (input, module, pass) =>
    pass.adapterNames
      ? throughMixture(kind, module, ranges(pass.adapterNames, pass.cuSeqlens), byName, input, pass)
      : throughStack(kind, module, stack, input, pass)
}

function throughStack<Input extends tf.Tensor>(
  kind: Kind<Input>,
  module: Base<Input>,
  stack: readonly StackedLayer[],
  input: Input,
  { training, seed, cache }: Pass,
): tf.Tensor2D {
  let below: Below<Input> = { forward: (input) => module.forwardBase(input), isModule: true }
  for (const { layer, index } of stack) {
    const compute = kind.compute(layer)
    if (!compute) continue
    const under = below
    const call = { training, seed: (seed + Math.imul(index, 0x85ebca6b)) | 0, reuse: cache }
    below = { forward: (input) => compute(input, under, call), isModule: false }
  }
  return below.forward(input)
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
 * Where all layers involved are additions, all rows go through the base weight together and each range of rows gets its
 * adapter's addition; otherwise each range goes through its own layer.
 */
function throughMixture<Input extends tf.Tensor>(
  kind: Kind<Input>,
  module: Base<Input>,
  parts: readonly Rows[],
  byName: ReadonlyMap<string, StackedLayer>,
  input: Input,
  pass: Pass,
): tf.Tensor2D {
  const used = parts.flatMap(({ name }) => byName.get(name) ?? [])
  if (used.length === 0) return module.forwardBase(input)
  return tf.tidy(() => {
    const rows = ({ from, to }: Rows) => kind.rows(input, from, to)
    if (!pass.training && used.every(({ layer }) => layer.delta)) {
      const base = module.forwardBase(input)
      const additions = parts.map((part) => {
        const layer = byName.get(part.name)?.layer
        // Only linear layers are additions.
        if (layer) return layer.delta!(rows(part) as tf.Tensor as tf.Tensor2D)
        return tf.zeros<tf.Rank.R2>([part.to - part.from, base.shape[1]])
      })
      return tf.add(base, tf.concat2d(additions, 0)) as tf.Tensor2D
    }
    const outputs = parts.map((part) => {
      const stacked = byName.get(part.name)
      return throughStack(kind, module, stacked ? [stacked] : [], rows(part), pass)
    })
    return tf.concat2d(outputs, 0)
  })
}

/** @throws {TunesmithError} for a name nobody loaded, or a batch that cannot be mixed. */
export function checkNames(names: readonly string[], known: ReadonlyMap<string, unknown>, obstacle?: string): void {
  const unknown = [...new Set(names)].filter((name) => name !== BASE_NAME && !known.has(name))
  if (unknown.length > 0)
    throw notFound(`There is no adapter named ${unknown.join(', ')}`, {
      where: 'adapterNames',
      remedy: `Loaded are ${[...known.keys()].join(', ')}; ${BASE_NAME} is the model without adapter`,
    })
  if (obstacle)
    throw unsupported(`${obstacle} cannot be in a batch that mixes adapters`, {
      where: 'adapterNames',
      remedy: 'Run the sequences of each adapter in a batch of their own, with setAdapter',
    })
}
