import type * as tf from '@tensorflow/tfjs-core'
import { type CausalLM, EmbeddingModule, untieHead } from '@tunesmith/models'
import type { AdaptableModule } from './adapter'
import type { Attached } from './attached'
import { exchangeModules, letGo, type MergedWeights } from './merge'
import { checkNames, EMBEDDING, LINEAR, routed, type StackedLayer } from './routing'
import type { TrainedCopy } from './trained-copies'

export interface Situation {
  adapters: ReadonlyMap<string, Attached>
  /** Names of the active ones, the first nearest to the weights. */
  active: readonly string[]
  /** Those that are in the weights already, and the modules with their merged weights, which are not in place. */
  merged: { names: readonly string[]; modules: readonly MergedWeights[] }
}

/** What adapters have put into a model's way, so that it can be taken out again. */
export class Installation {
  readonly #model: CausalLM
  #modules: AdaptableModule[] = []
  /** Brings back what copies and merged weights stand in the place of, in the order in which they came. */
  #undo: (() => void)[] = []

  constructor(model: CausalLM) {
    this.#model = model
  }

  /** Leaves the base model as it is without adapters. */
  takeOut(): void {
    for (const undo of this.#undo.reverse()) undo()
    for (const module of this.#modules) module.override = undefined
    this.#model.attachment = undefined
    this.#modules = []
    this.#undo = []
  }

  /** Puts the active adapters into the model's way, and the others within reach of batches that name them. */
  putIn(situation: Situation): void {
    const { adapters, active, merged } = situation
    const model = this.#model
    const computing = active.filter((name) => !merged.names.includes(name))
    const copiesOf = (names: readonly string[]) => names.flatMap((name) => adapters.get(name)!.copies)
    const below = this.#install(copiesOf(merged.names))
    exchangeModules(merged.modules)
    this.#undo.push(() => exchangeModules(merged.modules))
    this.#install(copiesOf(computing), below)
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

  /** Installs copies, of two for one weight the first. Gives those that are in place. */
  #install(copies: readonly TrainedCopy[], others: readonly TrainedCopy[] = []): TrainedCopy[] {
    const installed: TrainedCopy[] = []
    for (const copy of copies) {
      if ([...others, ...installed].some(({ key }) => key === copy.key)) continue
      copy.install()
      this.#undo.push(() => copy.restore())
      installed.push(copy)
    }
    return installed
  }

  /** Runs `f` on the bare base model with copies in their places. */
  withCopies<Result>(copies: readonly TrainedCopy[], f: () => Result): Result {
    this.#install(copies)
    try {
      return f()
    } finally {
      this.takeOut()
    }
  }

  /** Puts copies, and merged weights over them, into the bare base model for good, and releases what was there. */
  settle(copies: readonly TrainedCopy[], merged: readonly MergedWeights[]): void {
    const model = this.#model
    const installed = this.#install(copies)
    this.#undo = []
    exchangeModules(merged)
    letGo(model, merged)
    for (const copy of installed)
      copy.keep((value) => model.embedTokens.weight === value || model.lmHead.weight === value)
    if (model.config.tieWordEmbeddings && model.lmHead.weight !== model.embedTokens.weight) untieHead(model.config)
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
  if (merged.names.length > 0) return 'A merged adapter'
  const used = [...new Set([...names, ...active])].flatMap((name) => adapters.get(name) ?? [])
  if (used.some(({ shared }) => shared?.virtualTokens)) return 'An adapter of virtual tokens'
  if (used.some(({ copies }) => copies.length > 0)) return 'An adapter that trains whole modules or biases'
  return used.some(({ layers }) => layers.has(model.lmHead)) ? 'An adapter of the output layer' : undefined
}
