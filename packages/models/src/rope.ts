import { TunesmithError } from '@tunesmith/core'
import { z } from 'zod'
import type { ConfigFile } from './config-file'

/** How rotary positions turn into angles. */
export interface RopeConfig {
  type: 'default' | 'linear' | 'dynamic' | 'llama3' | 'yarn'
  theta: number
  /** Leading dimensions of each head that rotate. */
  rotaryDim: number
  factor: number
  /** Context length the model was first trained with; the scalings refer to it. */
  originalMaxPositionEmbeddings: number
  lowFreqFactor: number
  highFreqFactor: number
  betaFast: number
  betaSlow: number
  /** Multiplies cosines and sines; only yarn differs from 1. */
  attentionFactor: number
}

const parametersSchema = z.object({
  rope_type: z.string().optional(),
  type: z.string().optional(),
  rope_theta: z.number().positive().optional(),
  factor: z.number().positive().default(1),
  original_max_position_embeddings: z.number().int().positive().optional(),
  low_freq_factor: z.number().positive().default(1),
  high_freq_factor: z.number().positive().default(4),
  beta_fast: z.number().positive().nullish(),
  beta_slow: z.number().positive().nullish(),
  attention_factor: z.number().positive().nullish(),
  mscale: z.number().nullish(),
  mscale_all_dim: z.number().nullish(),
  partial_rotary_factor: z.number().positive().optional(),
})

const TYPES = ['default', 'linear', 'dynamic', 'llama3', 'yarn']

/** Reads `rope_parameters` (transformers 5) or `rope_theta` and `rope_scaling` (before). */
export function ropeConfig(file: ConfigFile, headDim: number, maxPositionEmbeddings: number): RopeConfig {
  const { where } = file
  const { rope_parameters, rope_scaling, rope_theta, partial_rotary_factor } = file.read({
    rope_parameters: parametersSchema.nullish(),
    rope_scaling: parametersSchema.nullish(),
    rope_theta: z.number().positive().nullish(),
    partial_rotary_factor: z.number().positive().nullish(),
  })
  const p = rope_parameters ?? rope_scaling ?? parametersSchema.parse({})
  const type = p.rope_type ?? p.type ?? 'default'
  if (type === 'longrope' || type === 'su')
    throw new TunesmithError('This model stretches its rotary positions with "longrope", which is not supported', {
      code: 'unsupported',
      where,
      remedy: 'Use the variant with the short context, such as Phi-3-mini-4k-instruct',
    })
  if (!TYPES.includes(type))
    throw new TunesmithError(`The rope type "${type}" is not supported`, {
      code: 'unsupported',
      where,
      remedy: `Supported are ${TYPES.join(', ')}`,
    })
  const partial = p.partial_rotary_factor ?? partial_rotary_factor ?? 1
  const { factor } = p
  const yarnScale = (mscale: number) => (factor <= 1 ? 1 : 0.1 * mscale * Math.log(factor) + 1)
  const attentionFactor =
    p.attention_factor ??
    (p.mscale && p.mscale_all_dim ? yarnScale(p.mscale) / yarnScale(p.mscale_all_dim) : yarnScale(1))
  return {
    type: type as RopeConfig['type'],
    theta: p.rope_theta ?? rope_theta ?? 10000,
    rotaryDim: Math.floor((headDim * partial) / 2) * 2,
    factor,
    originalMaxPositionEmbeddings: p.original_max_position_embeddings ?? maxPositionEmbeddings,
    lowFreqFactor: p.low_freq_factor,
    highFreqFactor: p.high_freq_factor,
    betaFast: p.beta_fast ?? 32,
    betaSlow: p.beta_slow ?? 1,
    attentionFactor: type === 'yarn' ? attentionFactor : 1,
  }
}

const plainFrequencies = (dim: number, theta: number) =>
  Float32Array.from({ length: dim / 2 }, (_, i) => 1 / theta ** ((2 * i) / dim))

/** Llama 3.1's scaling: long waves are slowed down, short ones kept, those between interpolated. */
function llama3Frequencies(rope: RopeConfig): Float32Array {
  const { factor, lowFreqFactor, highFreqFactor, originalMaxPositionEmbeddings: length } = rope
  return plainFrequencies(rope.rotaryDim, rope.theta).map((frequency) => {
    const wavelength = (2 * Math.PI) / frequency
    if (wavelength > length / lowFreqFactor) return frequency / factor
    if (wavelength < length / highFreqFactor) return frequency
    const smooth = (length / wavelength - lowFreqFactor) / (highFreqFactor - lowFreqFactor)
    return ((1 - smooth) * frequency) / factor + smooth * frequency
  })
}

/** YaRN (Peng et al. 2023): interpolates the dimensions that turn less than `betaSlow` times within the original length. */
function yarnFrequencies(rope: RopeConfig): Float32Array {
  const { rotaryDim: dim, theta, factor, betaFast, betaSlow, originalMaxPositionEmbeddings: length } = rope
  const dimensionOf = (turns: number) => (dim * Math.log(length / (turns * 2 * Math.PI))) / (2 * Math.log(theta))
  const low = Math.max(Math.floor(dimensionOf(betaFast)), 0)
  const high = Math.min(Math.ceil(dimensionOf(betaSlow)), dim - 1)
  const width = high === low ? 0.001 : high - low
  return plainFrequencies(dim, theta).map((frequency, i) => {
    const ramp = Math.min(1, Math.max(0, (i - low) / width))
    return (frequency / factor) * ramp + frequency * (1 - ramp)
  })
}

/**
 * Radians per position for each rotated pair, float32 `[rotaryDim / 2]`; the formulas are those of transformers'
 * `modeling_rope_utils`.
 *
 * @param length longest position in the batch plus one; only `dynamic` depends on it.
 */
export function inverseFrequencies(rope: RopeConfig, length: number): Float32Array {
  const { type, rotaryDim, theta, factor, originalMaxPositionEmbeddings } = rope
  switch (type) {
    case 'linear':
      return plainFrequencies(rotaryDim, theta).map((frequency) => frequency / factor)
    case 'dynamic': {
      const reach = Math.max(length, originalMaxPositionEmbeddings)
      const stretch = (factor * reach) / originalMaxPositionEmbeddings - (factor - 1)
      return plainFrequencies(rotaryDim, theta * stretch ** (rotaryDim / (rotaryDim - 2)))
    }
    case 'llama3':
      return llama3Frequencies(rope)
    case 'yarn':
      return yarnFrequencies(rope)
    default:
      return plainFrequencies(rotaryDim, theta)
  }
}
