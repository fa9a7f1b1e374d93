import type * as tf from '@tensorflow/tfjs-core'
import { type CausalLM, EmbeddingModule } from '@tunesmith/models'
import type { AdaptableModule } from './adapter'
import type { Attached } from './attached'
import { untie } from './merge'
import { checkNames, EMBEDDING, LINEAR, routed, type StackedLayer } from './routing'
import type { TrainedCopy } from './trained-copies'

export interface Situation {
  adapters: ReadonlyMap<string, Attached>
  /** Names of the active ones, the first nearest to the weights. */
  active: readonly string[]
  /** Names of those that are in the weights already. */
  merged: readonly string[]
}

/** What adapters have put into a model's way, so that it can be taken out again. */
export class Installation {
  readonly #model: CausalLM
  #modules: AdaptableModule[] = []
  #copies: TrainedCopy[] = []

  constructor(model: CausalLM) {
    this.#model = model
  }

  /** Leaves the base model as it is without adapters. */
  takeOut(): void {
    for (const copy of this.#copies.reverse()) copy.restore()
    for (const module of this.#modules) module.override = undefined
    this.#model.attachment = undefined
    this.#modules = []
    this.#copies = []
  }

  /** Puts the active adapters into the model's way, and the others within reach of batches that name them. */
  putIn(situation: Situation): void {
    const { adapters, active, merged } = situation
    const model = this.#model
    for (const name of active) this.#installCopies(adapters.get(name)!)
    const computing = active.filter((name) => !merged.includes(name))
    const byModule = new Map<AdaptableModule, Map<string, StackedLayer>>()
    for (const [name, { layers }] of adapters)
      for (const [module, stacked] of layers)
        byModule.set(module, (byModule.get(module) ?? new Map()).set(name, stacked))
    for (const [module, byName] of byModule) {
      const stack = computing.flatMap((name) => byName.get(name) ?? [])
      // An override of the head means the slower way to the loss, so it is there only when needed.
      if (stack.length === 0 && (adapters.size === 1 || module === model.lmHead)) continue
      this.#modules.push(module)
      if (module instanceof EmbeddingModule) module.override = routed(EMBEDDING, stack, byName)
      else module.override = routed(LINEAR, stack, byName)
    }
    const { byName, everywhere } = variables(adapters.values())
    model.attachment = {
      virtualTokens: computing.map((name) => adapters.get(name)!.shared?.virtualTokens).find(Boolean),
      trainables: byName,
      sharedTrainables: everywhere,
      checkAdapterNames: (names) => checkNames(names, adapters, obstacle(names, situation, model)),
    }
  }

  #installCopies({ copies }: Attached): void {
    for (const copy of copies) {
      // Of two adapters that train the same module, the first counts.
      if (this.#copies.some(({ key }) => key === copy.key)) continue
      copy.install()
      this.#copies.push(copy)
    }
  }

  /** Leaves installed copies in the model for good. */
  keepCopies(copies: readonly TrainedCopy[]): void {
    const model = this.#model
    const kept = this.#copies.filter((copy) => copies.includes(copy))
    for (const copy of kept) copy.keep((value) => model.embedTokens.weight === value || model.lmHead.weight === value)
    this.#copies = this.#copies.filter((copy) => !kept.includes(copy))
    if (model.config.tieWordEmbeddings && model.lmHead.weight !== model.embedTokens.weight) untie(model)
  }
}

/** Trainable variables of the layers by their modules, and of what belongs to no module. */
function variables(adapters: Iterable<Attached>) {
  const byName = new Map<string, tf.Variable[]>()
  const everywhere: tf.Variable[] = []
  for (const { layers, shared } of adapters) {
    for (const [{ name }, { layer }] of layers)
      byName.set(name, [...(byName.get(name) ?? []), ...Object.values(layer.parameters), ...(layer.uses ?? [])])
    everywhere.push(...Object.values(shared?.parameters ?? {}))
  }
  return { byName, everywhere }
}

/** What a batch with an adapter per sequence cannot have, in words; undefined when all is well. */
function obstacle(
  names: readonly string[],
  { adapters, active, merged }: Situation,
  model: CausalLM,
): string | undefined {
  if (merged.length > 0) return 'A merged adapter'
  const used = [...new Set([...names, ...active])].flatMap((name) => adapters.get(name) ?? [])
  if (used.some(({ shared }) => shared?.virtualTokens)) return 'An adapter of virtual tokens'
  if (used.some(({ copies }) => copies.length > 0)) return 'An adapter that trains whole modules or biases'
  return used.some(({ layers }) => layers.has(model.lmHead)) ? 'An adapter of the output layer' : undefined
}
