import type * as tf from '@tensorflow/tfjs-core'
import type { KnownKeys } from '@tunesmith/core'
import type { ConfigFile } from '../config-file'
import type { GgufLayout } from '../gguf/layout'
import type { ModelConfig } from '../model-config'
import type { RopeSurroundings } from '../rope'
import type { StepContext } from '../step-context'
import type { DecoderKeys } from './config-parts'

/** Size of one linear layer. */
export interface LinearShape {
  inFeatures: number
  outFeatures: number
  bias: boolean
}

/** One decoder layer as its architecture sees it: its modules by their names inside the layer. */
export interface DecoderLayer {
  index: number
  config: ModelConfig
  linear(name: string, x: tf.Tensor2D): tf.Tensor2D
  hasNorm(name: string): boolean
  norm(name: string, x: tf.Tensor2D): tf.Tensor2D
}

/** A family of decoder-only models: one object, in one file named after its `model_type`. */
export interface Architecture {
  modelType: string
  /** Keys of config.json with the values that transformers gives them when they are absent, where those differ from Llama's. */
  defaults?: Readonly<Record<string, unknown>>
  /** Keys of its config.json that {@link config} does not read, beside those of all families: harmless, or refused. */
  knownKeys?: KnownKeys
  /** Which rotary positions it has. Default all, on whole heads. */
  rope?: Pick<RopeSurroundings, 'partialRotary' | 'types'>
  /** Reads the keys that only some families have. What it does not return is read as for Llama, without biases and windows. */
  config?(file: ConfigFile, keys: DecoderKeys): Partial<ModelConfig>
  /** The linear layers of a decoder layer, by name within it (`self_attn.q_proj`). */
  linears(config: ModelConfig): Record<string, LinearShape>
  /** The norms of a decoder layer and their sizes. */
  norms(config: ModelConfig): Record<string, number>
  /** Added to every norm's weight, heads' norms too. Default 0. */
  normOffset?: number
  /** Multiplies the embeddings. Default 1. */
  embeddingScale?(config: ModelConfig): number
  /** llama.cpp's names, for exporting GGUF; without it that is refused. */
  gguf?: GgufLayout
  /** x `[tokens, hidden]` to `[tokens, hidden]`. */
  block(layer: DecoderLayer, x: tf.Tensor2D, step: StepContext): tf.Tensor2D
}
