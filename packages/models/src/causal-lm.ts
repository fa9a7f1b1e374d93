import * as tf from '@tensorflow/tfjs-core'
import {
  checkpoint,
  disposeWeight,
  type LinearCrossEntropyOptions,
  type LinearCrossEntropyResult,
  linearCrossEntropy,
} from '@tunesmith/backend'
import { TunesmithError } from '@tunesmith/core'
import { architectureOf } from './architectures'
import type { Architecture, DecoderLayer } from './architectures/architecture'
import type { ModelInput } from './batch'
import type { ModelConfig } from './config'
import { type GenerationDefaults, generationDefaults } from './generation/generation-config'
import type { KvCache } from './generation/kv-cache'
import { logitsCrossEntropy } from './logits-cross-entropy'
import { EmbeddingModule, LinearModule, NormModule } from './modules'
import { type StepContext, StepPlan } from './step-context'
import { VirtualLayout, type VirtualTokens } from './virtual-tokens'
import type { WeightSource } from './weight-source'

/** Key of {@link CausalLM.trainables} for what all blocks use, like the keys and values of prefix tuning. */
export const EVERY_BLOCK = 'model.layers.*'

export interface ForwardOptions {
  /** Where to read and append keys and values; for generation. */
  cache?: KvCache
  /** Keeps only each block's input and recomputes the block in the backward pass. Default false. */
  gradientCheckpointing?: boolean
  /**
   * With `gradientCheckpointing`: the inputs wait in the host's memory, moved while the next block computes. No effect on a backend that
   * computes in the host's memory. Default false.
   */
  activationOffloading?: boolean
}

/** Adapter names of the sequences in a forward pass, and where the sequences lie (virtual positions counted in). */
export interface ModelAdapterNames {
  names: readonly string[]
  cuSeqlens: ArrayLike<number>
}

/**
 * A decoder-only language model on the current TensorFlow.js backend.
 *
 * Made by {@link loadModel} or {@link createModel}. Modules are found by their checkpoint names, which is how adapters
 * attach to them.
 */
export class CausalLM {
  readonly config: ModelConfig
  /** Folder or Hub id the weights came from; undefined for a model that was made fresh. */
  readonly nameOrPath: string | undefined
  /** How it generates where nothing else is said: from generation_config.json, else config.json. */
  generation: GenerationDefaults
  readonly linears = new Map<string, LinearModule>()
  readonly norms = new Map<string, NormModule>()
  readonly embedTokens: EmbeddingModule
  readonly lmHead: LinearModule
  /** Positions that an adapter puts before every sequence; set and removed by adapters. */
  virtualTokens: VirtualTokens | undefined
  /** The cache of the running forward pass: while it is the same, no parameter changes. Adapters read it. */
  runningCache: KvCache | undefined
  /** Checks the `adapterNames` of a batch; set and removed by adapters. */
  checkAdapterNames: ((names: readonly string[]) => void) | undefined
  /** Which adapter each sequence of the running forward pass wants; adapters read it. */
  adapterNames: ModelAdapterNames | undefined
  readonly #architecture: Architecture
  readonly #layers: DecoderLayer[]
  readonly #finalNorm: NormModule

  constructor(config: ModelConfig, source: WeightSource, nameOrPath?: string) {
    this.config = config
    this.nameOrPath = nameOrPath
    this.generation = generationDefaults(config)
    this.#architecture = architectureOf(config.modelType)
    const { hiddenSize, vocabSize } = config
    const offset = this.#architecture.normOffset ?? 0
    const norm = (name: string, size: number) => {
      const module = new NormModule(name, source.vector(`${name}.weight`, size), config.rmsNormEps, offset)
      this.norms.set(name, module)
      return module
    }
    this.embedTokens = new EmbeddingModule(
      'model.embed_tokens',
      source.matrix('model.embed_tokens.weight', vocabSize, hiddenSize),
    )
    for (let i = 0; i < config.numHiddenLayers; i++) {
      const prefix = `model.layers.${i}.`
      for (const [name, { inFeatures, outFeatures, bias }] of Object.entries(this.#architecture.linears(config))) {
        const full = prefix + name
        const weight = source.matrix(`${full}.weight`, outFeatures, inFeatures)
        this.linears.set(
          full,
          new LinearModule(full, weight, bias ? source.vector(`${full}.bias`, outFeatures) : undefined),
        )
      }
      for (const [name, size] of Object.entries(this.#architecture.norms(config))) norm(prefix + name, size)
    }
    this.#finalNorm = norm('model.norm', hiddenSize)
    const head = config.tieWordEmbeddings
      ? this.embedTokens.weight
      : source.matrix('lm_head.weight', vocabSize, hiddenSize)
    this.lmHead = new LinearModule('lm_head', head, undefined)
    this.linears.set('lm_head', this.lmHead)
    this.#layers = Array.from({ length: config.numHiddenLayers }, (_, index) => ({
      index,
      config,
      hasNorm: (name) => this.norms.has(`model.layers.${index}.${name}`),
      linear: (name, x) => this.linears.get(`model.layers.${index}.${name}`)!.forward(x),
      norm: (name, x) => this.norms.get(`model.layers.${index}.${name}`)!.forward(x),
    }))
  }

  /** The decoder's linear layers without the head: what `all-linear` means. */
  decoderLinears(): LinearModule[] {
    return [...this.linears.values()].filter((module) => module !== this.lmHead)
  }

  /** All parameters of the base model, trainable or not. A tied head counts once. */
  parameterCount(): number {
    const matrices = [this.embedTokens, ...this.linears.values()].filter(
      (module) => module !== this.lmHead || !this.config.tieWordEmbeddings,
    )
    const inMatrices = matrices.reduce((sum, { weight }) => sum + weight.outFeatures * weight.inFeatures, 0)
    const inBiases = [...this.linears.values()].reduce((sum, { bias }) => sum + (bias?.size ?? 0), 0)
    const inNorms = [...this.norms.values()].reduce((sum, { weight }) => sum + weight.size, 0)
    return inMatrices + inBiases + inNorms
  }

  /**
   * The hidden states after the final norm, `[tokens, hidden]`.
   *
   * @throws {TunesmithError} `invalid_data` for a token id outside the vocabulary.
   */
  forward(input: ModelInput, options: ForwardOptions = {}): tf.Tensor2D {
    this.#checkIds(input.inputIds)
    return tf.tidy(() => {
      const ids = tf.tensor1d(Int32Array.from(input.inputIds), 'int32')
      return this.#during(input, options.cache, () => {
        let x = this.embed(ids)
        const { virtualTokens } = this
        const prompt = virtualTokens?.embeddings && new VirtualLayout(input, virtualTokens.count)
        // Virtual embeddings are not scaled where tokens' are: in transformers 5 that is the embedding layer's business.
        if (prompt) x = prompt.extend(x, virtualTokens?.embeddings?.())
        if (!prompt) return this.forwardEmbeddings(x, input, options)
        const { positions, cuSeqlens } = prompt
        return prompt.strip(this.forwardEmbeddings(x, { ...input, positions, cuSeqlens }, options))
      })
    })
  }

  /** ids int32 `[tokens]` to what the first block reads, `[tokens, hidden]`: scaled where the architecture does so. */
  embed(ids: tf.Tensor1D): tf.Tensor2D {
    const scale = this.#architecture.embeddingScale?.(this.config)
    if (!scale) return this.embedTokens.forward(ids)
    return tf.tidy(() => tf.mul(this.embedTokens.forward(ids), scale))
  }

  /** Lets adapters see what they need to know of the running pass. */
  #during<Result>(
    { adapterNames, cuSeqlens }: Omit<ModelInput, 'inputIds' | 'positions'>,
    cache: KvCache | undefined,
    f: () => Result,
  ): Result {
    if (adapterNames) this.#checkNames(adapterNames, cuSeqlens.length - 1)
    this.adapterNames = adapterNames && { names: adapterNames, cuSeqlens }
    this.runningCache = cache
    try {
      return f()
    } finally {
      this.adapterNames = undefined
      this.runningCache = undefined
    }
  }

  #checkNames(names: readonly string[], sequences: number): void {
    if (names.length !== sequences)
      throw new TunesmithError(`There are ${names.length} adapter names for ${sequences} sequences`, {
        code: 'invalid_data',
        where: 'adapterNames',
        remedy: 'Give one name per sequence',
      })
    if (!this.checkAdapterNames)
      throw new TunesmithError('The batch names adapters, but the model has none', {
        code: 'invalid_data',
        where: 'adapterNames',
        remedy: 'Load the adapters first, or leave the names out',
      })
    this.checkAdapterNames(names)
  }

  /** Like {@link forward}, from embeddings `[tokens, hidden]` (virtual ones among them) instead of token ids. */
  forwardEmbeddings(
    embeddings: tf.Tensor2D,
    input: Omit<ModelInput, 'inputIds'>,
    { cache, gradientCheckpointing = false, activationOffloading = false }: ForwardOptions = {},
  ): tf.Tensor2D {
    return tf.tidy(() => {
      const plan = new StepPlan(this.config, input, cache, this.virtualTokens)
      const shared = plan.tensors()
      return this.#throughBlocks(embeddings, (layer, x) => {
        const block = (input: tf.Tensor2D, tensors: readonly tf.Tensor[]) =>
          tf.tidy(() => this.#architecture.block(layer, input, plan.context(tensors)))
        return gradientCheckpointing
          ? checkpoint(block, x, this.#trainablesOf(layer.index), { shared, offload: activationOffloading })
          : block(x, shared)
      })
    })
  }

  #throughBlocks(embeddings: tf.Tensor2D, through: (layer: DecoderLayer, x: tf.Tensor2D) => tf.Tensor2D): tf.Tensor2D {
    let x = embeddings
    for (const layer of this.#layers) {
      const next = through(layer, x)
      if (x !== embeddings) x.dispose()
      x = next
    }
    return this.#finalNorm.forward(x)
  }

  /**
   * {@link forward} for one token of each sequence that a cache holds, from tensors alone: nothing here depends on their
   * values, so that a backend can capture it.
   *
   * @param ids int32 `[sequences]`, inside the vocabulary.
   * @param context with the cache and where the tokens go in it; virtual positions are counted already.
   */
  forwardNext(ids: tf.Tensor1D, context: StepContext, cache: KvCache, adapterNames?: readonly string[]): tf.Tensor2D {
    const cuSeqlens = Array.from({ length: ids.shape[0] + 1 }, (_, i) => i)
    return tf.tidy(() =>
      this.#during({ adapterNames, cuSeqlens }, cache, () =>
        this.#throughBlocks(this.embed(ids), (layer, x) => tf.tidy(() => this.#architecture.block(layer, x, context))),
      ),
    )
  }

  /** Next-token logits `[rows, vocab]` for hidden states `[rows, hidden]`, soft-capped where the model does so. */
  logits(hidden: tf.Tensor2D): tf.Tensor2D {
    const { logitSoftcap } = this.config
    if (logitSoftcap === 0) return this.lmHead.forward(hidden)
    return tf.tidy(() => tf.mul(tf.tanh(tf.div(this.lmHead.forward(hidden), logitSoftcap)), logitSoftcap))
  }

  /**
   * The language modelling loss, summed over the labelled tokens.
   *
   * @param labels `[tokens]`, already shifted: the label of token `t` is the token after it, or -100.
   */
  loss(
    input: ModelInput,
    labels: ArrayLike<number>,
    { gradientCheckpointing, activationOffloading, ...options }: ForwardOptions & LinearCrossEntropyOptions = {},
  ): LinearCrossEntropyResult {
    const hidden = this.forward(input, { gradientCheckpointing, activationOffloading })
    const all = { softcap: this.config.logitSoftcap, ...options }
    // An adapter on the head: its output is what counts, and only the adapter knows it.
    if (this.lmHead.override) {
      const trained = this.trainables.get(this.lmHead.name) ?? []
      const result = logitsCrossEntropy((x) => this.lmHead.forward(x), hidden, labels, trained, all)
      hidden.dispose()
      return result
    }
    const targets = tf.tensor1d(Int32Array.from(labels), 'int32')
    const result = linearCrossEntropy(hidden, this.lmHead.weight, targets, all)
    hidden.dispose()
    targets.dispose()
    return result
  }

  /**
   * Trainable variables by module, registered by adapters and by full fine-tuning; checkpointing needs to know them.
   * Those that every block uses stand under {@link EVERY_BLOCK}.
   */
  readonly trainables = new Map<string, readonly tf.Variable[]>()

  #trainablesOf(layer: number): tf.Variable[] {
    const prefix = `model.layers.${layer}.`
    const found: tf.Variable[] = []
    for (const [module, variables] of this.trainables)
      if (module === EVERY_BLOCK || module.startsWith(prefix)) found.push(...variables)
    return found
  }

  #checkIds(ids: ArrayLike<number>): void {
    for (let i = 0; i < ids.length; i++) {
      const id = ids[i]!
      if (id >= 0 && id < this.config.vocabSize) continue
      throw new TunesmithError(
        `Token id ${id} at position ${i} is outside the vocabulary of ${this.config.vocabSize}`,
        {
          code: 'invalid_data',
          remedy: 'Use the tokenizer that belongs to this model',
        },
      )
    }
  }

  /** Releases every weight. */
  dispose(): void {
    for (const { weight, bias } of this.linears.values()) {
      disposeWeight(weight)
      bias?.dispose()
    }
    disposeWeight(this.embedTokens.weight)
    for (const { weight } of this.norms.values()) weight.dispose()
  }
}
