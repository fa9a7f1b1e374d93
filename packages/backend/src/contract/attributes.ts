import type { WeightAttrs } from '../weights'

export interface RMSNormAttrs {
  /** Added to the mean square. */
  eps: number
  /** Added to the weight: 0, or 1 for models that store `weight - 1` (gemma). */
  offset: number
}

export interface RotaryEmbeddingAttrs {
  headDim: number
  /** Leading dimensions of each head that are rotated; the rest pass through. */
  rotaryDim: number
}

export interface CausalAttentionAttrs {
  numHeads: number
  /** Query head `h` reads key/value head `floor(h * numKvHeads / numHeads)`. */
  numKvHeads: number
  headDim: number
  /** Multiplies the scores; usually `1 / sqrt(headDim)`. */
  scale: number
  /** A query sees this many keys at most, itself included. 0 for all. Default 0. */
  slidingWindow?: number
  /** Scores become `softcap * tanh(score / softcap)` (gemma2). 0 for none. Default 0. */
  softcap?: number
}

export type AttentionKernelAttrs = Required<CausalAttentionAttrs>

export interface SwiGLUAttrs {
  /** `silu` (Llama) or the tanh approximation of GELU (Gemma). */
  activation: 'silu' | 'gelu_tanh'
}

export interface DropoutAttrs {
  /** Probability of dropping an element, in [0, 1). */
  rate: number
  /** Seed of the mask; must differ from layer to layer and step to step. */
  seed: number
}

export interface LoraLinearAttrs {
  /** `loraAlpha / r`, or what the variant makes of it. */
  scaling: number
  /** Probability of dropping an element of the low-rank branch's input. 0 when not training. */
  dropout: number
  /** Seed of the dropout mask; must differ from layer to layer and step to step. */
  seed: number
}

/** Which gradients `TunesmithLoraLinearGrad` computes; the others come out with no elements. */
export interface LoraLinearGradAttrs extends LoraLinearAttrs {
  needsInputGrad: boolean
  needsWeightGrad: boolean
}

export interface CrossEntropyAttrs extends WeightAttrs {
  labelSmoothing: number
  softcap: number
  mode: 'nll' | 'dft'
  needsHiddenGrad: boolean
  needsWeightGrad: boolean
}

export interface AdamWAttrs {
  lr: number
  beta1: number
  beta2: number
  eps: number
  weightDecay: number
  /** 1 at the first step; sets the bias correction. */
  step: number
  /** Multiplies the gradient first: loss normalisation and clipping in one. */
  gradScale: number
}
