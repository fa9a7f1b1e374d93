import * as tf from '@tensorflow/tfjs-core'
import { checkpoint, type LinearCrossEntropyResult, residualAdd, type TokenLogProbs } from '@tunesmith/backend'
import { invalidData } from '@tunesmith/core'
import { architectureOf } from './architectures'
import type { Architecture, DecoderLayer } from './architectures/architecture'
import type { ModelInput } from './batch'
import { buildModules, decoderLayer, disposeModules, type LayerModules, modulesNow } from './build-modules'
import { tensorShapes } from './checkpoint-tensors'
import type { CheckpointOrigin } from './checkpoint-view'
import { type GenerationDefaults, generationDefaults } from './generation/generation-config'
import { type Head, headLogProbs, headLoss } from './loss/head-loss'
import type { TokenLoss } from './loss/losses'
import type { ModelConfig } from './model-config'
import {
  type EmbeddingModule,
  type ExpertsModule,
  type LinearModule,
  type NormModule,
  trainableWeights,
} from './modules'
import { type Attachment, checkAdapterNames, createPass, type Pass, type PassOptions } from './pass'
import { dependsOnLength, ropesOf } from './rope'
import { sharedRows, takeRows } from './shared-prefixes'
import { type StepContext, type StepPlace, stepPlan } from './step-context'
import { VirtualLayout } from './virtual-tokens'
import type { WeightSource } from './weight-source'

export interface ForwardOptions extends PassOptions {
  /** Keeps only each block's input and recomputes the block in the backward pass. Default false. */
  gradientCheckpointing?: boolean | undefined
  /**
   * With `gradientCheckpointing`: the inputs wait in the host's memory, moved while the next block computes. No effect on a backend that
   * computes in the host's memory. Default false.
   */
  activationOffloading?: boolean | undefined
  /** Changes the embeddings `[tokens, hidden]` of the tokens, like the noise of NEFTune; differentiable. Default: nothing. */
  onEmbeddings?: ((embeddings: tf.Tensor2D, pass: Pass) => tf.Tensor2D) | undefined
  /**
   * Tokens with which a sequence repeats the beginning of the one before it are computed once for both, where that is a tenth of the batch
   * or more: the prompt of several answers. Dropout masks are then the same ones too. No effect on positions that depend on the length of
   * the sequence (longrope, dynamic), with virtual tokens, `adapterNames`, `onEmbeddings` or a cache. Default false.
   */
  sharePrefixes?: boolean | undefined
}

const int32 = (values: ArrayLike<number>) => tf.tensor1d(Int32Array.from(values), 'int32')

/**
 * A decoder-only language model on the current TensorFlow.js backend.
 *
 * Made by {@link loadModel} or {@link createModel}. Modules are found by their checkpoint names, which is how adapters
 * attach to them. A forward pass leaves nothing behind on the model: see {@link Pass}.
 */
export class CausalLM {
  readonly config: ModelConfig
  /** Folder or Hub id the weights came from; undefined for a model that was made fresh. */
  readonly nameOrPath: string | undefined
  /** How it generates where nothing else is said: from generation_config.json, else config.json. */
  generation: GenerationDefaults
  readonly linears: Map<string, LinearModule>
  readonly norms: Map<string, NormModule>
  /** The stacks of experts' matrices, in models that are mixtures. */
  readonly experts: Map<string, ExpertsModule>
  readonly embedTokens: EmbeddingModule
  /** Learned position embeddings, where the family has them. */
  readonly embedPositions: EmbeddingModule | undefined
  readonly lmHead: LinearModule
  /** Where the weights are from, and what is there beside them; undefined for a model that was made fresh. */
  origin: CheckpointOrigin | undefined
  /** Its embeddings have more rows than the checkpoint's: files of adapters hold them too then, as PEFT's do. */
  resized = false
  /** Set and removed by adapters. */
  attachment: Attachment | undefined
  readonly #architecture: Architecture

  constructor(config: ModelConfig, source: WeightSource, nameOrPath?: string) {
    this.config = config
    this.nameOrPath = nameOrPath
    this.generation = generationDefaults(config)
    this.#architecture = architectureOf(config.modelType)
    const { linears, norms, experts, embedTokens, embedPositions, lmHead } = buildModules(config, source)
    this.linears = linears
    this.norms = norms
    this.experts = experts
    this.embedTokens = embedTokens
    this.embedPositions = embedPositions
    this.lmHead = lmHead
  }

  /** The decoder's linear layers without the head, and without routers of experts: what `all-linear` means. */
  decoderLinears(): LinearModule[] {
    return [...this.linears.values()].filter((module) => module !== this.lmHead && !module.isParameter)
  }

  /** Whether transformers keeps matrices of its layers transposed (GPT-2's `Conv1D`): what PEFT calls `fan_in_fan_out`. */
  storesTransposed(): boolean {
    return this.decoderLinears().some(
      ({ name }) => this.#architecture.stored?.(`${name}.weight`, this.config)?.transposed,
    )
  }

  /** Whether no layer computes with float32 weights: then attention's products may be rounded as all others are. */
  #hasRoundedProducts(): boolean {
    return this.decoderLinears().every(({ weight }) => !(weight instanceof tf.Tensor) && weight.format !== 'f32')
  }

  /** All parameters of the base model, trainable or not. A tied head counts once. */
  parameterCount(): number {
    return [...tensorShapes(this.config).values()].reduce((sum, shape) => sum + tf.util.sizeFromShape(shape), 0)
  }

  /**
   * The hidden states after the final norm, `[tokens, hidden]`, times `logitScale`: what the head reads.
   *
   * @throws {TunesmithError} `invalid_data` for a token id outside the vocabulary, and for adapter names that do not fit.
   */
  forward(input: ModelInput, options: ForwardOptions = {}): tf.Tensor2D {
    const pass = createPass(input, options)
    this.#checkIds(input.inputIds)
    checkAdapterNames(pass, this.attachment)
    const shared = this.#mayShare(input, options) ? sharedRows(input) : undefined
    return tf.tidy(() => {
      if (shared) {
        const [ids, positions] = [input.inputIds, input.positions].map((of) => shared.tokenOf.map((t) => of[t]!))
        const place = { positions: positions!, cuSeqlens: input.cuSeqlens, shared }
        const hidden = this.#forwardEmbeddings(this.embed(int32(ids!), pass), place, pass, options)
        return takeRows(hidden, int32(shared.rowOf))
      }
      const embedded = this.embed(int32(input.inputIds), pass)
      const x = options.onEmbeddings?.(embedded, pass) ?? embedded
      const virtual = this.attachment?.virtualTokens
      if (!virtual?.embeddings) return this.#forwardEmbeddings(x, input, pass, options)
      // Virtual embeddings are not scaled where tokens' are: in transformers 5 that is the embedding layer's business.
      const layout = new VirtualLayout(input, virtual.count)
      return layout.strip(this.#forwardEmbeddings(layout.extend(x, virtual.embeddings()), layout, pass, options))
    })
  }

  /** Whether a token's hidden states depend on those before it in its sequence and on nothing else. */
  #mayShare({ adapterNames }: ModelInput, { sharePrefixes, onEmbeddings, cache }: ForwardOptions): boolean {
    if (!sharePrefixes || onEmbeddings || cache || adapterNames || this.attachment?.virtualTokens) return false
    return !ropesOf(this.config).some(dependsOnLength)
  }

  /** ids int32 `[tokens]` to what the first block reads, `[tokens, hidden]`: scaled where the architecture does so. */
  embed(ids: tf.Tensor1D, pass: Pass = createPass({ cuSeqlens: [0, ids.size] })): tf.Tensor2D {
    const scale = this.#architecture.embeddingScale?.(this.config)
    if (!scale) return this.embedTokens.forward(ids, pass)
    return tf.tidy(() => tf.mul(this.embedTokens.forward(ids, pass), scale))
  }

  /** Adds learned positions, where the family has them. */
  #withPositions(embeddings: tf.Tensor2D, positions: () => tf.Tensor1D, pass: Pass): tf.Tensor2D {
    if (!this.embedPositions) return embeddings
    return tf.tidy(() => residualAdd(embeddings, this.embedPositions!.forward(positions(), pass)))
  }

  /** @param place of the rows, virtual ones among them. */
  #forwardEmbeddings(
    embeddings: tf.Tensor2D,
    place: StepPlace,
    pass: Pass,
    { gradientCheckpointing = false, activationOffloading: offload = false }: ForwardOptions,
  ): tf.Tensor2D {
    const virtual = this.attachment?.virtualTokens
    const before = virtual?.keyValues ? virtual.count : 0
    this.#checkPositions(place.positions, before)
    const learned = () => int32(Array.from(place.positions, (position) => position + before))
    const inputs = this.#withPositions(embeddings, learned, pass)
    const plan = stepPlan(this.config, place, { cache: pass.cache, virtual, rounded: this.#hasRoundedProducts() })
    const shared = plan.tensors()
    // A block that runs again in the backward pass does so with the adapters of this pass.
    const modules = gradientCheckpointing ? modulesNow(this) : this
    return this.#throughLayers(inputs, modules, pass, (layer, x) => {
      const block = (input: tf.Tensor2D, tensors: readonly tf.Tensor[]) =>
        tf.tidy(() => this.#architecture.block(layer, input, plan.context(tensors)))
      if (!gradientCheckpointing) return block(x, shared)
      return checkpoint(block, x, this.#trainablesOf(layer.index), { shared, offload })
    })
  }

  #throughLayers(
    embeddings: tf.Tensor2D,
    modules: LayerModules,
    pass: Pass,
    through: (layer: DecoderLayer, x: tf.Tensor2D) => tf.Tensor2D,
  ): tf.Tensor2D {
    let x = embeddings
    for (let index = 0; index < this.config.numHiddenLayers; index++) {
      const next = through(decoderLayer(this.config, modules, index, pass), x)
      if (x !== embeddings) x.dispose()
      x = next
    }
    const { names, logitScale } = this.config
    const hidden = this.norms.get(names.norm)!.forward(x)
    return logitScale === 1 ? hidden : tf.tidy(() => tf.mul(hidden, logitScale))
  }

  /**
   * {@link forward} for one token of each sequence that a cache holds, from tensors alone: nothing here depends on their
   * values, so that a backend can capture it.
   *
   * @param ids int32 `[sequences]`, inside the vocabulary.
   * @param step with the cache and where the tokens go in it; virtual positions are counted already.
   */
  forwardNext(ids: tf.Tensor1D, step: StepContext, pass: Pass): tf.Tensor2D {
    checkAdapterNames(pass, this.attachment)
    return tf.tidy(() =>
      this.#throughLayers(
        this.#withPositions(this.embed(ids, pass), () => step.positions, pass),
        this,
        pass,
        (layer, x) => tf.tidy(() => this.#architecture.block(layer, x, step)),
      ),
    )
  }

  /** Next-token logits `[rows, vocab]` for hidden states `[rows, hidden]`, soft-capped where the model does so. */
  logits(hidden: tf.Tensor2D, pass: Pass = createPass({ cuSeqlens: [0, hidden.shape[0]] })): tf.Tensor2D {
    const { logitSoftcap } = this.config
    if (logitSoftcap === 0) return this.lmHead.forward(hidden, pass)
    return tf.tidy(() => tf.mul(tf.tanh(tf.div(this.lmHead.forward(hidden, pass), logitSoftcap)), logitSoftcap))
  }

  /** What losses need to know of the head. */
  #head(input: ModelInput, options: PassOptions): Head {
    const pass = createPass(input, options)
    return {
      logits: (hidden) => this.logits(hidden, pass),
      parameters: this.headTrainables(),
      weight: this.lmHead.override ? undefined : this.lmHead.weight,
      softcap: this.config.logitSoftcap,
    }
  }

  /**
   * The language modelling loss, summed over the labelled tokens.
   *
   * @param labels `[tokens]`, already shifted: the label of token `t` is the token after it, or -100.
   * @param options `loss`: what is minimised. Default: the negative log-likelihood.
   */
  loss(
    input: ModelInput,
    labels: ArrayLike<number>,
    { loss, ...options }: ForwardOptions & { loss?: TokenLoss } = {},
  ): LinearCrossEntropyResult {
    return tf.tidy(() => headLoss(this.#head(input, options), this.forward(input, options), labels, loss))
  }

  /** The log-probability of each label, differentiable: what losses over whole sequences are made of. */
  tokenLogProbs(input: ModelInput, labels: ArrayLike<number>, options: ForwardOptions = {}): TokenLogProbs {
    return tf.tidy(() => headLogProbs(this.#head(input, options), this.forward(input, options), labels))
  }

  /** The trainable variables that the head computes with, its adapters' and its own. */
  headTrainables(): tf.Variable[] {
    const { name } = this.lmHead
    return [...new Set([...trainableWeights(this.lmHead), ...(this.attachment?.trainables.get(name) ?? [])])]
  }

  #trainablesOf(layer: number): tf.Variable[] {
    const prefix = `${this.config.names.layers}.${layer}.`
    const inLayer = <Value>([name, value]: [string, Value]) => (name.startsWith(prefix) ? [value] : [])
    const own = [
      ...[...this.linears].flatMap(inLayer),
      ...[...this.norms].flatMap(inLayer),
      ...[...this.experts].flatMap(inLayer),
    ].flatMap(trainableWeights)
    const added = [...(this.attachment?.trainables ?? [])].flatMap(inLayer).flat()
    return [...new Set([...own, ...added, ...(this.attachment?.sharedTrainables ?? [])])]
  }

  #checkIds(ids: ArrayLike<number>): void {
    for (let i = 0; i < ids.length; i++) {
      const id = ids[i]!
      if (id >= 0 && id < this.config.vocabSize) continue
      const what = `Token id ${id} at position ${i} is outside the vocabulary of ${this.config.vocabSize}`
      throw invalidData(what, { remedy: 'Use the tokenizer that belongs to this model' })
    }
  }

  /** Learned positions end; rotary ones do not. */
  #checkPositions(positions: ArrayLike<number>, before: number): void {
    if (!this.embedPositions) return
    const { maxPositionEmbeddings } = this.config
    for (let i = 0; i < positions.length; i++)
      if (positions[i]! + before >= maxPositionEmbeddings)
        throw invalidData(
          `A sequence is longer than the ${maxPositionEmbeddings} positions that the model has learned`,
          {
            remedy: 'Shorten the texts, or the answers that are generated',
          },
        )
  }

  /** Releases every weight. */
  dispose(): void {
    disposeModules(this)
  }
}
