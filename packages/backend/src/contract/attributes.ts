import type { KernelAttrs } from './kernels'

/** The attributes of the public operations, as the kernels' table has them. */
export type RMSNormAttrs = KernelAttrs<'RMSNorm'>
export type RotaryEmbeddingAttrs = Omit<KernelAttrs<'RotaryEmbedding'>, 'inverse'>
type Attention = KernelAttrs<'CausalAttention'>
type WithDefault = 'slidingWindow' | 'softcap' | 'rounded'
export type CausalAttentionAttrs = Omit<Attention, WithDefault> & Partial<Pick<Attention, WithDefault>>
export type SwiGLUAttrs = KernelAttrs<'SwiGLU'>
export type DropoutAttrs = KernelAttrs<'Dropout'>
export type WeightAttrs = KernelAttrs<'Linear'>
export type LoraLinearAttrs = Pick<KernelAttrs<'LoraLinear'>, 'scaling' | 'dropout' | 'seed'>
export type AdamWAttrs = KernelAttrs<'AdamWSteps'>
