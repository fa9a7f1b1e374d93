import type * as tf from '@tensorflow/tfjs-core'
import type { WeightMatrix } from '@tunesmith/backend'
import type { KnownKeys } from '@tunesmith/core'
import type { ConfigFile, Warn } from '../config-file'
import type { GgufLayout } from '../gguf/layout'
import type { LayerConfig, ModelConfig, ModuleNames } from '../model-config'
import type { RopeSurroundings } from '../rope'
import type { StepContext } from '../step-context'
import type { StoredTensor } from '../stored-tensor'
import type { DecoderKeys } from './config-parts'

/** Size of one linear layer. */
export interface LinearShape {
  inFeatures: number
  outFeatures: number
  bias: boolean
  /** A parameter and no layer of its own in Python: `all-linear` does not mean it, and it is not quantized. Default false. */
  isParameter?: boolean
}

/** Matrices of one shape under one name, `[count, out, in]`. */
export interface ExpertsShape {
  count: number
  inFeatures: number
  outFeatures: number
}

/** How a norm normalises; its size where it is one norm of a layer. */
export interface NormKind {
  /** Root mean square, or LayerNorm, which takes the mean off first. Default `rms`. */
  kind?: 'rms' | 'layer'
  /** It adds a vector at the end. Default false. */
  bias?: boolean
  /** Added to the weight: 1 where checkpoints store the weight minus one. Default 0. */
  offset?: number
}
export type NormShape = NormKind & { size: number }

/** One decoder layer as its architecture sees it: its sizes, and its modules by their names inside the layer. */
export interface DecoderLayer extends LayerConfig {
  config: ModelConfig
  linear(name: string, x: tf.Tensor2D): tf.Tensor2D
  /** The matrices of the experts, by the name of their stack. */
  experts(name: string): readonly WeightMatrix[]
  hasNorm(name: string): boolean
  norm(name: string, x: tf.Tensor2D): tf.Tensor2D
}

/** What a family's own file says of a configuration; the rest is as for Llama. */
export type OwnConfig = Partial<Omit<ModelConfig, 'layers'>> & {
  /** By layer, what differs from the model's own sizes, `window: 0` and `config.rope`. */
  layers?: readonly Partial<LayerConfig>[]
}

/** A family of decoder-only models: one object, in one file named after its `model_type`. */
export interface Architecture {
  modelType: string
  /** Keys of config.json with the values that transformers gives them when they are absent, where those differ from Llama's. */
  defaults?: Readonly<Record<string, unknown>>
  /** Its names of keys that mean what Llama's key means: `n_embd` is `hidden_size`. */
  keys?: Readonly<Record<string, string>>
  /** Keys of its config.json that {@link config} does not read, beside those of all families: harmless, or refused. */
  knownKeys?: KnownKeys
  /** Keys of dropout within the model that its published files set. Training here has none: they are named where they are not 0. */
  dropout?: readonly string[]
  /** Which rotary positions it has. Default all, on whole heads, in halves. */
  rope?: Omit<RopeSurroundings, 'headDim' | 'maxPositionEmbeddings'>
  /** Reads the keys that only some families have. What it does not return is read as for Llama, without biases and windows. */
  config?(file: ConfigFile, keys: DecoderKeys, warn: Warn): OwnConfig
  /** Names outside of the layers where they are not Llama's (`model.embed_tokens`, `model.layers`, `model.norm`, `lm_head`). */
  names?: Partial<ModuleNames>
  /** Older or shorter names in checkpoints: what `String.replace` makes of them is the name here. */
  renames?: readonly (readonly [RegExp, string])[]
  /** How a checkpoint stores a tensor that is not there under its own name and as it is. */
  stored?(name: string, config: ModelConfig): StoredTensor | undefined
  /** The linear layers of a decoder layer, by name within it (`self_attn.q_proj`). */
  linears(config: ModelConfig, layer: LayerConfig): Record<string, LinearShape>
  /** The stacks of experts' matrices of a decoder layer, by their whole names within it. Default none. */
  experts?(config: ModelConfig, layer: LayerConfig): Record<string, ExpertsShape>
  /** The norms of a decoder layer and their sizes, or where one differs from {@link norm}, what it is. */
  norms(config: ModelConfig, layer: LayerConfig): Record<string, number | NormShape>
  /** What all its norms are, those of heads and the last one too. Default root mean square, the weight as it is. */
  norm?: NormKind
  /** Multiplies the embeddings. Default 1. */
  embeddingScale?(config: ModelConfig): number
  /** llama.cpp's names, for exporting GGUF; without it that is refused. */
  gguf?: GgufLayout
  /** x `[tokens, hidden]` to `[tokens, hidden]`. */
  block(layer: DecoderLayer, x: tf.Tensor2D, step: StepContext): tf.Tensor2D
}
