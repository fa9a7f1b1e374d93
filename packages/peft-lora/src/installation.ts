import { type CausalLM, EmbeddingModule } from '@tunesmith/models'
import type { AdaptableModule } from './adapter'
import { type Attached, variablesByModule } from './attached'
import { untie } from './merge'
import {
  type CallState,
  checkNames,
  embedThroughMixture,
  embedThroughStack,
  type StackedLayer,
  throughMixture,
  throughStack,
} from './routing'
import type { TrainedCopy } from './trained-copies'

interface Situation {
  adapters: ReadonlyMap<string, Attached>
  /** Names of the active ones, the first nearest to the weights. */
  active: readonly string[]
  /** Names of those that are in the weights already. */
  merged: readonly string[]
}

/** What adapters have put into a model's way, so that it can be taken out again. */
export class Installation {
  readonly #model: CausalLM
  readonly #call: CallState
  #modules: AdaptableModule[] = []
  #copies: TrainedCopy[] = []
  /** Trainable variables that stand in `model.trainables` because of us. */
  #variables = new Set<unknown>()

  constructor(model: CausalLM, call: CallState) {
    this.#model = model
    this.#call = call
  }

  /** Leaves the base model as it is without adapters. */
  takeOut(): void {
    const { trainables } = this.#model
    for (const copy of this.#copies.reverse()) copy.restore()
    for (const module of this.#modules) module.override = undefined
    for (const [module, variables] of [...trainables]) {
      const others = variables.filter((variable) => !this.#variables.has(variable))
      if (others.length > 0) trainables.set(module, others)
      else trainables.delete(module)
    }
    this.#model.virtualTokens = undefined
    this.#model.checkAdapterNames = undefined
    this.#modules = []
    this.#copies = []
    this.#variables = new Set()
  }

  /** Puts the active adapters into the model's way, and the others within reach of batches that name them. */
  putIn(situation: Situation): void {
    const { adapters, active, merged } = situation
    const model = this.#model
    const stacks = new Map<AdaptableModule, StackedLayer[]>()
    for (const name of active) {
      const attached = adapters.get(name)!
      this.#install(attached)
      if (merged.includes(name)) continue
      model.virtualTokens = attached.shared?.virtualTokens
      for (const [module, stacked] of attached.layers) stacks.set(module, [...(stacks.get(module) ?? []), stacked])
    }
    const byName = new Map<AdaptableModule, Map<string, StackedLayer>>()
    for (const [name, { layers }] of adapters)
      for (const [module, stacked] of layers) byName.set(module, (byName.get(module) ?? new Map()).set(name, stacked))
    for (const [module, layers] of byName) this.#override(module, stacks.get(module) ?? [], layers, adapters.size > 1)
    model.checkAdapterNames = (names) => checkNames(names, adapters, obstacle(names, situation, model))
  }

  #install(attached: Attached): void {
    for (const copy of attached.copies) {
      // Of two adapters that train the same module, the first counts.
      if (this.#copies.some(({ key }) => key === copy.key)) continue
      copy.install()
      this.#copies.push(copy)
    }
    const { trainables } = this.#model
    for (const [module, variables] of variablesByModule(attached)) {
      trainables.set(module, [...(trainables.get(module) ?? []), ...variables])
      for (const variable of variables) this.#variables.add(variable)
    }
  }

  #override(
    module: AdaptableModule,
    stack: readonly StackedLayer[],
    layers: ReadonlyMap<string, StackedLayer>,
    several: boolean,
  ): void {
    const model = this.#model
    const call = this.#call
    // An override of the head means the slower way to the loss, so it is there only when needed.
    if (stack.length === 0 && (!several || module === model.lmHead)) return
    this.#modules.push(module)
    if (module instanceof EmbeddingModule)
      module.override = (ids) =>
        model.adapterNames
          ? embedThroughMixture(model, module, layers, ids, call)
          : embedThroughStack(module, stack, ids, call)
    else
      module.override = (x) =>
        model.adapterNames ? throughMixture(model, module, layers, x, call) : throughStack(module, stack, x, call)
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
