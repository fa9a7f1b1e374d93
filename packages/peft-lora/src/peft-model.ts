import type * as tf from '@tensorflow/tfjs-core'
import { denseWeight, disposeWeight } from '@tunesmith/backend'
import { TunesmithError } from '@tunesmith/core'
import type { CausalLM, LinearModule } from '@tunesmith/models'
import { type LoraConfig, type LoraConfigOptions, loraConfig } from './lora-config'
import { type AdapterState, LoraLayer } from './lora-layer'
import { targetedModules } from './target-modules'

/**
 * A base model with a LoRA adapter on some of its linear layers. Use {@link CausalLM} as before: its forward pass goes
 * through the adapter.
 */
export class PeftModel {
  readonly #state: AdapterState = { training: false, seed: 0, enabled: true }
  readonly #layers = new Map<LinearModule, LoraLayer>()

  constructor(
    readonly model: CausalLM,
    readonly config: LoraConfig,
    seed: number,
  ) {
    targetedModules(model, config).forEach((module, index) => {
      if (module.override)
        throw new TunesmithError('The layer already has an adapter', {
          code: 'incompatible',
          where: module.name,
          remedy: 'Merge or unload the first adapter before adding another',
        })
      const layer = new LoraLayer(module, config, seed, index)
      this.#layers.set(module, layer)
      module.override = (x) => layer.forward(x, this.#state)
      model.trainables.set(module.name, Object.values(layer.parameters))
    })
  }

  /** Modules with an adapter, by name. */
  get targets(): string[] {
    return [...this.#layers.keys()].map(({ name }) => name)
  }

  /** The trainable variables under PEFT's keys, e.g. `base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight`. */
  parameters(): Map<string, tf.Variable> {
    const all = new Map<string, tf.Variable>()
    for (const [module, { parameters }] of this.#layers)
      for (const [key, variable] of Object.entries(parameters))
        all.set(`base_model.model.${module.name}.${key}`, variable)
    return all
  }

  /** Dropout on; call before each micro-batch with a new seed. */
  train(seed: number): void {
    this.#state.training = true
    this.#state.seed = seed
  }

  /** Dropout off. */
  eval(): void {
    this.#state.training = false
  }

  /** Runs `f` with the base model's own outputs. */
  async withoutAdapter<Result>(f: () => Result | Promise<Result>): Promise<Result> {
    this.#state.enabled = false
    try {
      return await f()
    } finally {
      this.#state.enabled = true
    }
  }

  /** PEFT's line, e.g. `trainable params: 2,252,800 || all params: 1,102,301,184 || trainable%: 0.2044`. */
  trainableParametersLine(): string {
    const trainable = [...this.parameters().values()].reduce((sum, { size }) => sum + size, 0)
    const all = this.model.parameterCount() + trainable
    const count = (n: number) => n.toLocaleString('en-US')
    return `trainable params: ${count(trainable)} || all params: ${count(all)} || trainable%: ${((100 * trainable) / all).toFixed(4)}`
  }

  printTrainableParameters(): void {
    console.log(this.trainableParametersLine())
  }

  /**
   * Folds the update into the base weights, which become float32, and takes the adapter off.
   *
   * @throws {TunesmithError} `numerical` when a merged weight is not finite; nothing is changed then.
   */
  mergeAndUnload(): CausalLM {
    const merged = new Map<LinearModule, tf.Tensor2D>()
    for (const [module, layer] of this.#layers) {
      const weight = layer.mergedWeight()
      merged.set(module, weight)
      if ((weight.dataSync() as Float32Array).every(Number.isFinite)) continue
      for (const tensor of merged.values()) tensor.dispose()
      throw new TunesmithError('The merged weight has values that are not finite', {
        code: 'numerical',
        where: module.name,
        remedy: 'The adapter is damaged or training diverged; go back to an earlier checkpoint',
      })
    }
    for (const [module, weight] of merged) {
      disposeWeight(module.weight)
      module.weight = denseWeight(weight)
    }
    this.unload()
    return this.model
  }

  /** Takes the adapter off and releases it; the base model is as it was. */
  unload(): CausalLM {
    for (const [module, { parameters }] of this.#layers) {
      module.override = undefined
      this.model.trainables.delete(module.name)
      for (const variable of Object.values(parameters)) variable.dispose()
    }
    this.#layers.clear()
    return this.model
  }
}

/**
 * Puts a new LoRA adapter on a model. B starts at zero, so that nothing changes before training.
 *
 * @param options PEFT's LoraConfig in camelCase.
 * @param seed of the initial weights. Default 0.
 */
export function getPeftModel(
  model: CausalLM,
  options: LoraConfigOptions = {},
  { seed = 0 }: { seed?: number } = {},
): PeftModel {
  return new PeftModel(model, loraConfig(options), seed)
}
