import type * as tf from '@tensorflow/tfjs-core'
import type { Random } from '@tunesmith/core'
import type { CausalLM, EmbeddingModule, LinearModule, VirtualTokens } from '@tunesmith/models'
import type { z } from 'zod'

/** A module that an adapter can put a layer on. */
export type AdaptableModule = LinearModule | EmbeddingModule

/** What the configurations of all adapters may have in common; each is acted on for every adapter that has it. */
export interface AdapterConfig {
  /** PEFT's `peft_type`, e.g. `LORA`. */
  peftType: string
  targetModules?: string | string[] | undefined
  excludeModules?: string | string[] | undefined
  layersToTransform?: number | number[] | undefined
  layersPattern?: string | string[] | undefined
  /** Modules that are trained whole, as copies of their own. */
  modulesToSave?: string[] | undefined
  /** Biases that are trained: none, all of the model, or those of the adapted modules (`lora_only`). */
  bias?: string | undefined
  /** Rows of the embeddings that are trained. */
  trainableTokenIndices?: number[] | Record<string, number[]> | undefined
  ensureWeightTying?: boolean | undefined
}

/** What a layer computes in this call. */
export interface LayerCall {
  /** Dropout is on. */
  training: boolean
  /** For dropout masks: differs between layers and micro-batches, and is the same when a block is computed again. */
  seed: number
  /**
   * While this is the same object, no parameter changes, and what follows from them alone is worth keeping: the cache of
   * a generation. undefined elsewhere.
   */
  reuse: object | undefined
}

/** What lies under a layer: its module, or the layer of another active adapter. */
export interface Below<Input> {
  forward(input: Input): tf.Tensor2D
  /** It is the module alone, so that a kernel may take weight and bias from it and do both parts at once. */
  readonly isModule: boolean
}

/** Weight `[out, in]` (embeddings: `[vocab, hidden]`) and bias `[out]` of a module, in float32. */
export interface DenseModule {
  weight: tf.Tensor2D
  bias: tf.Tensor1D | undefined
}

/** An adapter's part of one module. */
export interface AdapterLayer {
  /** The trainable variables, by what follows the module's name in the file (`lora_A.weight`). */
  readonly parameters: Readonly<Record<string, tf.Variable>>
  /** Variables that are in the file and not trained, likewise. */
  readonly frozen?: Readonly<Record<string, tf.Variable>>
  /** What the file has as well though it follows from other layers, likewise; for reading it is checked and left out. */
  readonly derived?: Readonly<Record<string, () => tf.Tensor>>
  /** How many numbers PEFT counts among the parameters though they are constants. Default 0. */
  readonly constants?: number
  /** Trainable variables of other layers that this one computes with; checkpointing needs to know. */
  readonly uses?: readonly tf.Variable[]
  /** On a linear layer: x `[tokens, in]` to `[tokens, out]`. Differentiable by x and the parameters. */
  forward?(x: tf.Tensor2D, below: Below<tf.Tensor2D>, call: LayerCall): tf.Tensor2D
  /** On the embeddings: ids int32 `[tokens]` to `[tokens, hidden]`. */
  embed?(ids: tf.Tensor1D, below: Below<tf.Tensor1D>, call: LayerCall): tf.Tensor2D
  /**
   * Where `forward` is the layer below plus something: that something, without dropout. Lets a batch in which every
   * sequence has its own adapter go through the base weight once.
   */
  delta?(x: tf.Tensor2D): tf.Tensor2D
  /**
   * The module with this layer folded in, so that it gives alone what `forward` gives without dropout. Absent when the
   * layer is no change of the weight. Runs in a `tf.tidy`.
   */
  merge?(module: DenseModule): DenseModule
  /** Called when base weights change under the layer (another adapter is merged or loaded). */
  baseChanged?(): void
  /** Undoes what making the layer did to its module's weight, when the adapter is taken off without being merged. */
  undo?(): void
  /** Releases what the layer holds beside its parameters. */
  dispose?(): void
}

export interface OptimizerStep {
  /** Steps done, counted from 1. */
  step: number
  totalSteps: number
  /** What gradients were multiplied by in the update: clipping, and the loss scale undone. */
  gradScale: number
  /** The gradient of a parameter in this step, before `gradScale`; undefined for a parameter of others. */
  gradient(parameter: tf.Variable): tf.Tensor | undefined
}

/** What an adapter has that belongs to no single module. */
export interface SharedParts {
  /** Trainable variables, by their whole key in the file (`prompt_embeddings`). */
  readonly parameters?: Readonly<Record<string, tf.Variable>>
  /** Variables in the file that are not trained, by their whole key. */
  readonly buffers?: Readonly<Record<string, tf.Variable>>
  /** Positions before every sequence: prompt tuning and prefix tuning. */
  readonly virtualTokens?: VirtualTokens
  /** Added to the mean loss of each training step, once however many micro-batches it has. Differentiable. */
  loss?(): tf.Scalar
  /** Runs after each step of the optimizer. */
  afterOptimizerStep?(step: OptimizerStep): void
  /** What a training checkpoint must hold besides the file's tensors, by name. */
  readonly trainingState?: Readonly<Record<string, tf.Variable>>
  /** How the file's tensors differ from the variables (those of the layers too), by whole keys; both run in `tf.tidy`. */
  readonly file?: {
    write(variables: ReadonlyMap<string, tf.Tensor>): Map<string, tf.Tensor>
    /** The way back, for tensors of the shapes that `write` gives. */
    read(stored: ReadonlyMap<string, tf.Tensor>): Map<string, tf.Tensor>
  }
  dispose?(): void
}

export interface SharedContext<Config> {
  config: Config
  /** The modules that will get a layer. */
  targets: readonly AdaptableModule[]
  /** For initial values: its own stream of the adapter's seed. */
  random: Random
  /** The parameters come from a file next: initial values do not matter. */
  loading: boolean
}

export interface LayerContext<Config, Shared> {
  config: Config
  model: CausalLM
  /** What `shared` returned. */
  shared: Shared
  /** For initial values: a stream of its own for each module. */
  random: Random
  /** The weights come from a file next: initial values do not matter, except where they change the base weight. */
  loading: boolean
}

/**
 * A kind of adapter. Implement it, call {@link registerAdapter}, and `getPeftModel`, files, merging, several adapters,
 * checkpointing and the trainer work with it. `testAdapter` of `@tunesmith/peft-lora/testing` checks an implementation.
 */
export interface Adapter<
  Config extends AdapterConfig = AdapterConfig,
  Shared extends SharedParts | undefined = SharedParts | undefined,
> {
  /** PEFT's `peft_type`; for kinds PEFT does not have, a name of that form. */
  readonly peftType: Config['peftType']
  /** A strict object of the options in camelCase with their defaults, `peftType` as a literal among them. */
  readonly schema: z.ZodType<Config> & { readonly shape: Readonly<Record<string, unknown>> }
  /** `targetModules` when none are given, by the linear layers that the model has. Default: queries and values. */
  defaultTargets?(model: CausalLM): string[]
  /** The modules that get a layer. Default: the linear layers `targetModules` names; none without such an option. */
  targets?(model: CausalLM, config: Config, context: { loading: boolean }): AdaptableModule[]
  /** Parts that belong to no single module; made first. */
  shared?(model: CausalLM, context: SharedContext<Config>): Shared
  /** The part of one target, with its parameters. */
  layer?(module: AdaptableModule, context: LayerContext<Config, Shared>): AdapterLayer
  /** Keys of adapter_config.json that are not simply the options in snake_case. */
  readonly json?: {
    /** Further keys to write, or other values for the options'. */
    write?(config: Config, model: CausalLM, shared: Shared): Record<string, unknown>
    /** Options from keys that are not; gets the whole file, and what it returns goes before the plain reading. */
    read?(json: Readonly<Record<string, unknown>>): Record<string, unknown>
    /** Features that change the numbers and are not there: an error unless null, false or empty. */
    readonly refused?: readonly string[]
    /** Keys without consequences here. */
    readonly ignored?: readonly string[]
    /** What a file loads with, but not as exactly as others: a sentence to print; undefined when there is nothing to say. */
    caution?(config: Config): string | undefined
  }
  /** Brings the tensors of older files into today's keys. */
  renameKey?(key: string): string
}
