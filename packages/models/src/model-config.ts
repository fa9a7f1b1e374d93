import type { SpecialTokens } from './config-file'
import type { RopeConfig } from './rope'

/** Of the gated feed-forward part. */
export type Activation = 'silu' | 'gelu_tanh'

/** What config.json says about a decoder-only model, in one layout whatever version of transformers wrote it. */
export interface ModelConfig extends SpecialTokens {
  modelType: string
  vocabSize: number
  hiddenSize: number
  intermediateSize: number
  numHiddenLayers: number
  numAttentionHeads: number
  numKeyValueHeads: number
  headDim: number
  maxPositionEmbeddings: number
  rmsNormEps: number
  hiddenAct: Activation
  rope: RopeConfig
  /** Keys a query sees at most in each layer, itself included; 0 for all. */
  windows: number[]
  /** Multiplies attention scores. */
  attentionScale: number
  /** Attention scores become `cap * tanh(score / cap)`; 0 for none. */
  attentionSoftcap: number
  /** Likewise the logits. */
  logitSoftcap: number
  tieWordEmbeddings: boolean
  attentionBias: boolean
  mlpBias: boolean
  initializerRange: number
  /** The dtype the checkpoint was saved in, as named there. */
  dtype: string | undefined
  /** The file as it was read; written back by `savePretrained`. */
  raw: Record<string, unknown>
}
