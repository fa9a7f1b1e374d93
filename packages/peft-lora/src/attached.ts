import type * as tf from '@tensorflow/tfjs-core'
import { Random, TunesmithError } from '@tunesmith/core'
import type { CausalLM } from '@tunesmith/models'
import type { AdaptableModule, Adapter, AdapterConfig, AdapterLayer, SharedParts } from './adapter'
import { targetedModules } from './target-modules'
import { trainableTokenLayers } from './trainable-tokens'
import { type TrainedCopy, trainedCopies } from './trained-copies'

/** An adapter on a model: its layers by module, what belongs to no module, and the copies it trains. */
export interface Attached {
  readonly adapter: Adapter
  readonly config: AdapterConfig
  readonly layers: ReadonlyMap<AdaptableModule, { layer: AdapterLayer; index: number }>
  readonly shared: SharedParts | undefined
  readonly copies: readonly TrainedCopy[]
}

/** Makes all parts of an adapter, without putting them into the model's way. */
export function attach(
  model: CausalLM,
  adapter: Adapter,
  config: AdapterConfig,
  { seed, loading }: { seed: number; loading: boolean },
): Attached {
  const { defaultTargets } = adapter
  const targets =
    adapter.targets?.(model, config, { loading }) ??
    ('targetModules' in adapter.schema.shape ? targetedModules(model, config, { defaultTargets, loading }) : [])
  const shared = adapter.shared?.(model, { config, targets, random: new Random(seed, adapter.peftType), loading })
  const layers = new Map<AdaptableModule, { layer: AdapterLayer; index: number }>()
  const made = { adapter, config, layers, shared, copies: [] as TrainedCopy[] }
  try {
    if (adapter.layer)
      for (const [index, module] of targets.entries()) {
        const random = new Random(seed, module.name)
        layers.set(module, { layer: adapter.layer(module, { config, model, shared, random, loading }), index })
      }
    for (const [module, layer] of trainableTokenLayers(model, config)) layers.set(module, { layer, index: layers.size })
    const prefix = shared?.virtualTokens ? 'base_model.' : undefined
    made.copies.push(...trainedCopies(model, config, targets, prefix))
    return made
  } catch (error) {
    release(made)
    throw error
  }
}

/**
 * Lets go of everything an adapter holds; its copies must be out of the model's way.
 *
 * @param merged it lives on in the base weights, which therefore stay as they are.
 */
export function release({ layers, shared, copies }: Attached, { merged = false }: { merged?: boolean } = {}): void {
  for (const { layer } of [...layers.values()].reverse()) {
    if (!merged) layer.undo?.()
    layer.dispose?.()
    for (const variable of Object.values({ ...layer.parameters, ...layer.frozen })) variable.dispose()
  }
  for (const part of [shared?.parameters, shared?.buffers, shared?.trainingState])
    for (const variable of Object.values(part ?? {})) variable.dispose()
  shared?.dispose?.()
  for (const copy of copies) if (!copy.kept) copy.variable.dispose()
}

/** The trainable variables by their keys in the file. */
export function trainableTensors({ layers, shared, copies }: Attached): Map<string, tf.Variable> {
  const all = new Map<string, tf.Variable>()
  const add = (key: string, variable: tf.Variable) => {
    if (all.has(key)) throw new TunesmithError(`Two parameters have the key ${key}`, { code: 'internal' })
    all.set(key, variable)
  }
  for (const [module, { layer }] of layers)
    for (const [part, variable] of Object.entries(layer.parameters)) add(keyOf(module, part), variable)
  for (const { key, variable } of copies) add(key, variable)
  for (const [key, variable] of Object.entries(shared?.parameters ?? {})) add(key, variable)
  return all
}

const keyOf = (module: AdaptableModule, part: string) => `base_model.model.${module.name}.${part}`

/** All variables that the file holds. */
export function fileTensors(attached: Attached): Map<string, tf.Variable> {
  const all = trainableTensors(attached)
  for (const [module, { layer }] of attached.layers)
    for (const [part, variable] of Object.entries(layer.frozen ?? {})) all.set(keyOf(module, part), variable)
  return new Map([...all, ...Object.entries(attached.shared?.buffers ?? {})])
}

/** What the file holds beside them: tensors that follow from them. */
export function derivedTensors({ layers, copies }: Attached): Map<string, () => tf.Tensor> {
  const all = new Map<string, () => tf.Tensor>()
  for (const [module, { layer }] of layers)
    for (const [part, tensor] of Object.entries(layer.derived ?? {})) all.set(keyOf(module, part), tensor)
  for (const { aliases, variable } of copies) for (const alias of aliases) all.set(alias, () => variable)
  return all
}

/** Parameters that the model has more because of an adapter. A bias is trained in its place, a saved module beside it. */
export function addedParameters({ layers, shared, copies }: Attached): number {
  const inLayers = [...layers.values()].flatMap(({ layer }) => Object.values({ ...layer.parameters, ...layer.frozen }))
  const inShared = Object.values(shared?.parameters ?? {})
  const inCopies = copies.filter(({ inPlace }) => !inPlace).map(({ variable }) => variable)
  const constants = [...layers.values()].reduce((sum, { layer }) => sum + (layer.constants ?? 0), 0)
  return [...inLayers, ...inShared, ...inCopies].reduce((sum, { size }) => sum + size, constants)
}
