import type { SpecialTokens } from './config-file'
import type { RopeConfig } from './rope'

/** Of the feed-forward part. */
export type Activation = 'silu' | 'gelu_tanh' | 'gelu'

/** What is particular to one decoder layer; a model's layers may all differ. */
export interface LayerConfig {
  /** Counted from 0. */
  readonly index: number
  numAttentionHeads: number
  numKeyValueHeads: number
  headDim: number
  intermediateSize: number
  /** Keys a query sees at most, itself included; 0 for all. */
  window: number
  /** Rotary positions; undefined for none. */
  rope: RopeConfig | undefined
  /** Feed-forward parts of which each token takes `expertsPerToken`; 0 where there is one for all. */
  numExperts: number
}

/** Names of the modules outside of the layers, and what stands before a layer's number. */
export interface ModuleNames {
  embeddings: string
  layers: string
  norm: string
  head: string
  /** Of learned position embeddings, where there are any. */
  positions?: string
}

/** What config.json says about a decoder-only model, in one layout whatever version of transformers wrote it. */
export interface ModelConfig extends SpecialTokens {
  /** Of the text half, where the checkpoint has more than text. */
  modelType: string
  vocabSize: number
  hiddenSize: number
  intermediateSize: number
  numHiddenLayers: number
  numAttentionHeads: number
  numKeyValueHeads: number
  headDim: number
  maxPositionEmbeddings: number
  /** Of all norms, whatever their kind. */
  rmsNormEps: number
  hiddenAct: Activation
  /** The rotary positions of the layers that see all keys. */
  rope: RopeConfig
  /** The layers; what they do not say is that of the model. */
  layers: readonly LayerConfig[]
  /** Multiplies attention scores. */
  attentionScale: number
  /** Attention scores become `cap * tanh(score / cap)`; 0 for none. */
  attentionSoftcap: number
  /** Likewise the logits. */
  logitSoftcap: number
  /** Multiplies the logits, before the cap. */
  logitScale: number
  /** Multiplies what each half of a block adds. */
  residualScale: number
  /** Multiplies the embeddings, in the families that leave it to config.json. */
  embeddingScale: number
  /** Experts that a token takes in the layers that have any. */
  expertsPerToken: number
  /** The weights of a token's experts are made to sum to one. */
  normalizesExperts: boolean
  /** Attention and feed-forward read the same input, in the families that leave it to config.json. */
  parallelBlock: boolean
  tieWordEmbeddings: boolean
  attentionBias: boolean
  mlpBias: boolean
  initializerRange: number
  /** The dtype the checkpoint was saved in, as named there. */
  dtype: string | undefined
  names: ModuleNames
  /** The file as it was read; written back by `savePretrained`. */
  raw: Record<string, unknown>
}

/** The file's `tie_word_embeddings` set to what holds now, in the text half too. */
export function untieHead(config: ModelConfig): void {
  config.tieWordEmbeddings = false
  const text = config.raw.text_config as Record<string, unknown> | undefined
  config.raw = {
    ...config.raw,
    ...(text && { text_config: { ...text, tie_word_embeddings: false } }),
    tie_word_embeddings: false,
  }
}
