import { totalmem } from 'node:os'
import * as tf from '@tensorflow/tfjs-core'
import { incompatible, invalidOptions, notFound, parseOptions, unsupported } from '@tunesmith/core'
import { BASE_NAME, type CausalLM } from '@tunesmith/models'
import type { AdaptableModule, AdapterConfig, AdapterLayer } from './adapter'
import { type Attached, addedParameters, attach, release, trainableTensors } from './attached'
import type { PeftConfigOptions } from './config-types'
import { Installation } from './installation'
import {
  disposeMerged,
  type MergedModule,
  type MergedWeights,
  type MergeOptions,
  type MergeReport,
  mergeSchema,
  mergeStacks,
} from './merge'
import { adapterOf, peftConfig } from './registry'
import type { TrainedCopy } from './trained-copies'
import { withElements } from './variable'

const owned = new WeakSet<CausalLM>()

export interface AddAdapterOptions {
  /** Of the initial weights. Default 0. */
  seed?: number
}

/**
 * A base model with adapters of any kind. Use {@link CausalLM} as before: its forward pass goes through the active
 * adapters.
 */
export class PeftModel {
  readonly #adapters = new Map<string, Attached>()
  #active: string[] = []
  #disabled = false
  #merged: { names: string[]; modules: MergedWeights[] } | undefined
  readonly #installation: Installation

  /** Without an adapter yet; {@link getPeftModel} and `loadPeftModel` are the usual ways in. */
  constructor(readonly model: CausalLM) {
    if (owned.has(model))
      throw incompatible('The model already has an adapter', {
        remedy: 'Use addAdapter on its PeftModel, or unload the first adapter',
      })
    owned.add(model)
    this.#installation = new Installation(model)
  }

  /** Names of the adapters on the model. */
  get adapterNames(): string[] {
    return [...this.#adapters.keys()]
  }

  get activeAdapters(): string[] {
    return [...this.#active]
  }

  /** Configuration of the (first) active adapter, with defaults filled in. */
  get config(): AdapterConfig {
    return this.adapter().config
  }

  /** Modules with a layer of an active adapter, by name. */
  get targets(): string[] {
    return [...new Set(this.#active.flatMap((name) => [...this.adapter(name).layers.keys()].map((m) => m.name)))]
  }

  /** The parts of an adapter. Default: the first active one. */
  adapter(name = this.#active[0]): Attached {
    const attached = name === undefined ? undefined : this.#adapters.get(name)
    if (attached) return attached
    throw notFound(name === undefined ? 'No adapter is active' : `There is no adapter named ${name}`, {
      remedy: this.#adapters.size ? `There are ${this.adapterNames.join(', ')}` : 'Add one with addAdapter',
    })
  }

  /**
   * Puts another new adapter on the model. The first one becomes active, later ones wait for {@link setAdapter}.
   *
   * @param options of any kind of adapter, see `peftType`; LoRA without one.
   */
  addAdapter(name: string, options: PeftConfigOptions = {}, { seed = 0 }: AddAdapterOptions = {}): this {
    return this.addConfigured(name, peftConfig(options), { seed, loading: false })
  }

  /** Like {@link addAdapter}, from a configuration that is complete; for readers of files. */
  addConfigured(name: string, config: AdapterConfig, options: { seed: number; loading: boolean }): this {
    this.#checkNewName(name)
    this.#refuseMerged('addAdapter')
    const adapter = adapterOf(config.peftType, 'peftType')
    const make = () => attach(this.model, adapter, config, options)
    // New layers read the base weights, so no copy may stand in their place.
    this.#change(() => {
      this.#adapters.set(name, options.loading ? make() : withElements(totalmem() / 8, make))
      if (this.#active.length === 0) this.#active = [name]
    })
    this.baseChanged()
    return this
  }

  #checkNewName(name: string): void {
    if (name !== '' && name !== BASE_NAME && !name.includes('/') && !this.#adapters.has(name)) return
    throw invalidOptions(`"${name}" cannot be the name of a new adapter`, {
      where: 'adapterName',
      remedy: `Choose one that is not empty, not taken (${this.adapterNames.join(', ')}), and without a slash`,
    })
  }

  /** Makes one adapter active, or several at once: their layers are stacked, the first nearest to the weights. */
  setAdapter(names: string | readonly string[]): this {
    const wanted = [names].flat() as string[]
    for (const name of wanted) this.adapter(name)
    const virtual = wanted.filter((name) => this.adapter(name).shared?.virtualTokens)
    if (virtual.length > 0 && wanted.length > 1)
      throw unsupported(`${virtual.join(', ')} puts positions before the text and cannot be stacked`, {
        where: 'setAdapter',
      })
    this.#change(() => {
      this.#active = [...new Set(wanted)]
    })
    return this
  }

  /** Takes an adapter off and releases it. When it was the only active one, the first of the rest becomes active. */
  deleteAdapter(name: string): this {
    const attached = this.adapter(name)
    this.#refuseMerged('deleteAdapter')
    this.#change(() => {
      this.#adapters.delete(name)
      this.#active = this.#active.filter((other) => other !== name)
      if (this.#active.length === 0) this.#active = this.adapterNames.slice(0, 1)
      release(attached)
    })
    this.baseChanged()
    return this
  }

  renameAdapter(from: string, to: string): this {
    this.adapter(from)
    if (from === to) return this
    this.#checkNewName(to)
    const entries = [...this.#adapters].map(([name, attached]) => [name === from ? to : name, attached] as const)
    this.#change(() => {
      this.#adapters.clear()
      for (const [name, attached] of entries) this.#adapters.set(name, attached)
      this.#active = this.#active.map((name) => (name === from ? to : name))
    })
    return this
  }

  /** Runs `f` with the base model's own outputs. */
  async withoutAdapter<Result>(f: () => Result | Promise<Result>): Promise<Result> {
    if (this.#disabled) return f()
    const disable = (disabled: boolean) =>
      this.#change(() => {
        this.#disabled = disabled
      })
    disable(true)
    try {
      return await f()
    } finally {
      disable(false)
    }
  }

  /**
   * The trainable variables of the active adapter under PEFT's keys, e.g.
   * `base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight`. With several active ones the keys start with
   * the adapter's name and a slash.
   */
  parameters(): Map<string, tf.Variable> {
    return this.#active.length === 1 ? trainableTensors(this.adapter()) : this.#ofActive(trainableTensors)
  }

  /** What a training checkpoint must hold besides the parameters, by name. */
  trainingState(): Map<string, tf.Variable> {
    return this.#ofActive(({ shared }) => Object.entries(shared?.trainingState ?? {}))
  }

  /** Variables of the active adapters; keys start with the adapter's name and a slash. */
  #ofActive(variables: (attached: Attached) => Iterable<[string, tf.Variable]>): Map<string, tf.Variable> {
    const all = new Map<string, tf.Variable>()
    for (const name of this.#active)
      for (const [key, variable] of variables(this.adapter(name))) all.set(`${name}/${key}`, variable)
    return all
  }

  /** What the active adapters add to the loss of a micro-batch (a mean per token); undefined when nothing. */
  auxiliaryLoss(): tf.Scalar | undefined {
    const parts = this.#active.flatMap((name) => this.adapter(name).shared?.loss?.() ?? [])
    return parts.length > 1 ? (tf.sum(tf.stack(parts)) as tf.Scalar) : parts[0]
  }

  /**
   * To be called after each step of the optimizer.
   *
   * @param gradients of the step, by the keys of {@link parameters}.
   * @param gradScale what the optimizer multiplied them by. Default 1.
   */
  afterOptimizerStep(step: number, totalSteps: number, gradients: ReadonlyMap<string, tf.Tensor>, gradScale = 1): void {
    const listening = this.#active
      .flatMap((name) => this.adapter(name).shared ?? [])
      .filter((s) => s.afterOptimizerStep)
    if (listening.length === 0) return
    const byVariable = new Map([...this.parameters()].map(([key, variable]) => [variable, gradients.get(key)]))
    for (const shared of listening)
      shared.afterOptimizerStep!({ step, totalSteps, gradScale, gradient: (parameter) => byVariable.get(parameter) })
  }

  /** Numbers behind {@link trainableParametersLine}. */
  parameterCounts(): { trainable: number; all: number } {
    const trainable = [...this.parameters().values()].reduce((sum, { size }) => sum + size, 0)
    const added = [...this.#adapters.values()].reduce((sum, attached) => sum + addedParameters(attached), 0)
    return { trainable, all: this.model.parameterCount() + added }
  }

  /** PEFT's line, e.g. `trainable params: 2,252,800 || all params: 1,102,301,184 || trainable%: 0.2044`. */
  trainableParametersLine(): string {
    const { trainable, all } = this.parameterCounts()
    const count = (n: number) => n.toLocaleString('en-US')
    return `trainable params: ${count(trainable)} || all params: ${count(all)} || trainable%: ${((100 * trainable) / all).toFixed(4)}`
  }

  printTrainableParameters(): void {
    console.log(this.trainableParametersLine())
  }

  /**
   * Folds adapters into the base weights, or into the copies of them that the adapters trained; they stay loaded, and
   * {@link unmerge} brings the weights back exactly (the originals are kept in memory until then).
   *
   * @throws {TunesmithError} `unsupported` for an adapter that is no change of weights, `numerical` when a merged
   *   weight is not finite; nothing is changed then.
   */
  merge(options: MergeOptions = {}): MergeReport {
    this.#refuseMerged('merge')
    const { adapters = this.#active, weights } = parseOptions(mergeSchema, options, 'merge')
    const stacks = new Map<AdaptableModule, AdapterLayer[]>()
    for (const name of adapters) {
      const { layers, shared, adapter } = this.adapter(name)
      if (shared?.virtualTokens)
        throw unsupported(`An adapter of type ${adapter.peftType} cannot be merged`, {
          where: name,
          remedy: 'Keep it beside the model',
        })
      for (const [module, { layer }] of layers) stacks.set(module, [...(stacks.get(module) ?? []), layer])
    }
    let modules: MergedModule[] = []
    this.#change(() => {
      const made = this.#installation.withCopies(this.#copiesOf(adapters), () => mergeStacks(stacks, weights))
      this.#merged = { names: [...adapters], modules: made.merged }
      modules = made.modules
    })
    return { adapters: [...adapters], modules, worst: modules.reduce((max, m) => Math.max(max, m.relativeError), 0) }
  }

  /** Undoes {@link merge}, bit for bit. */
  unmerge(): this {
    if (!this.#merged) return this
    const { modules } = this.#merged
    this.#change(() => {
      disposeMerged(modules)
      this.#merged = undefined
    })
    return this
  }

  /**
   * Folds the active adapters into the base weights and takes all adapters off.
   *
   * @throws {TunesmithError} as {@link merge}.
   */
  mergeAndUnload(options: MergeOptions & { onReport?: (report: MergeReport) => void } = {}): CausalLM {
    const { onReport, ...mergeOptions } = options
    if (!this.#merged) {
      const report = this.merge(mergeOptions)
      onReport?.(report)
    }
    const { modules, names } = this.#merged!
    this.#merged = undefined
    this.#installation.takeOut()
    this.#installation.settle(this.#copiesOf(names), modules)
    return this.#unload(names)
  }

  /** Takes all adapters off and releases them; the base model is as it was. */
  unload(): CausalLM {
    this.unmerge()
    return this.#unload([])
  }

  #unload(merged: readonly string[]): CausalLM {
    this.#installation.takeOut()
    for (const [name, attached] of [...this.#adapters].reverse()) release(attached, { merged: merged.includes(name) })
    this.#adapters.clear()
    this.#active = []
    owned.delete(this.model)
    return this.model
  }

  #copiesOf(names: readonly string[]): TrainedCopy[] {
    return names.flatMap((name) => this.adapter(name).copies)
  }

  /** Changes weights of the bare base model; for readers of files. */
  changeBase(change: () => void): void {
    this.#change(change)
    this.baseChanged()
  }

  /** Tells the layers that base weights are not what they were. */
  baseChanged(): void {
    for (const { layers } of this.#adapters.values()) for (const { layer } of layers.values()) layer.baseChanged?.()
  }

  #refuseMerged(what: string): void {
    if (!this.#merged) return
    throw invalidOptions(`${this.#merged.names.join(', ')} is merged into the base weights`, {
      where: what,
      remedy: 'Call unmerge() first',
    })
  }

  /** Runs something on the bare base model, then puts the adapters back. */
  #change(change: () => void): void {
    this.#installation.takeOut()
    try {
      change()
    } finally {
      const situation = {
        adapters: this.#adapters,
        active: this.#active,
        merged: this.#merged ?? { names: [], modules: [] },
      }
      if (!this.#disabled) this.#installation.putIn(situation)
    }
  }
}

/**
 * Puts a new adapter on a model. Before training nothing changes, except with virtual tokens and bottleneck adapters.
 *
 * @param options PEFT's configuration in camelCase; `peftType` says which kind, LoRA without it.
 * @param seed of the initial weights. Default 0.
 * @param adapterName default `default`.
 */
export function getPeftModel(
  model: CausalLM,
  options: PeftConfigOptions = {},
  { seed = 0, adapterName = 'default' }: AddAdapterOptions & { adapterName?: string } = {},
): PeftModel {
  const config = peftConfig(options)
  const peft = new PeftModel(model)
  try {
    return peft.addConfigured(adapterName, config, { seed, loading: false })
  } catch (error) {
    peft.unload()
    throw error
  }
}
