import { checkKeys, invalidFile, unsupported } from '@tunesmith/core'
import { z } from 'zod'
import type { ConfigFile, Warn } from './config-file'

/** How rotary positions turn into angles. */
export interface RopeConfig {
  type: 'default' | 'linear' | 'dynamic' | 'llama3' | 'yarn'
  theta: number
  /** Leading dimensions of each head that rotate. */
  rotaryDim: number
  factor: number
  /** Context length that the scaling refers to: for llama3 and yarn what the model was first trained with. */
  originalMaxPositionEmbeddings: number
  lowFreqFactor: number
  highFreqFactor: number
  betaFast: number
  betaSlow: number
  /** yarn: the bounds of its ramp are rounded to whole dimensions. */
  truncate: boolean
  /** Multiplies cosines and sines; only yarn differs from 1. */
  attentionFactor: number
}

const positive = z.number().positive()

const parametersSchema = z.looseObject({
  rope_type: z.string().nullish(),
  type: z.string().nullish(),
  rope_theta: positive.nullish(),
  partial_rotary_factor: positive.max(1).nullish(),
  factor: positive.nullish(),
  original_max_position_embeddings: z.number().int().positive().nullish(),
  low_freq_factor: positive.nullish(),
  high_freq_factor: positive.nullish(),
  beta_fast: positive.nullish(),
  beta_slow: positive.nullish(),
  attention_factor: positive.nullish(),
  mscale: z.number().nullish(),
  mscale_all_dim: z.number().nullish(),
  truncate: z.boolean().nullish(),
})
type Parameters = z.output<typeof parametersSchema>

/** Keys that a type reads beside those of all types; the first ones must be there. */
const TYPES: Record<RopeConfig['type'], { required: (keyof Parameters)[]; optional?: (keyof Parameters)[] }> = {
  default: { required: [] },
  linear: { required: ['factor'] },
  dynamic: { required: ['factor'] },
  llama3: {
    required: ['factor', 'low_freq_factor', 'high_freq_factor'],
    optional: ['original_max_position_embeddings'],
  },
  yarn: {
    required: [],
    optional: [
      ...(['factor', 'original_max_position_embeddings', 'attention_factor', 'beta_fast', 'beta_slow'] as const),
      ...(['mscale', 'mscale_all_dim', 'truncate'] as const),
    ],
  },
}

const COMMON = ['rope_type', 'type', 'rope_theta', 'partial_rotary_factor']

/** What a type of scaling needs to know of the rest of the model. */
export interface RopeSurroundings {
  headDim: number
  maxPositionEmbeddings: number
  /** The family turns a part of each head when it is told so. Others turn whole heads, and transformers says nothing. Default false. */
  partialRotary?: boolean
  /** The types that the family has. Default all. */
  types?: readonly RopeConfig['type'][]
}

/**
 * Reads the rotary positions as transformers 5 does: `rope_scaling` when it is there and not empty, else `rope_parameters`; `rope_theta` inside of it,
 * else beside it; `original_max_position_embeddings` beside it, else inside.
 *
 * @throws {TunesmithError} `unsupported` for a type that is not here, `invalid_file` for a key that is missing or wrong.
 */
export function ropeConfig(
  file: ConfigFile,
  { headDim, maxPositionEmbeddings, partialRotary = false, types }: RopeSurroundings,
  warn: Warn = console.warn,
): RopeConfig {
  const { where } = file
  const { rope_parameters, rope_scaling, ...beside } = file.read({
    rope_parameters: parametersSchema.nullish(),
    rope_scaling: parametersSchema.nullish(),
    rope_theta: positive.nullish(),
    partial_rotary_factor: positive.max(1).nullish(),
    original_max_position_embeddings: z.number().int().positive().nullish(),
  })
  const key = rope_scaling && Object.keys(rope_scaling).length > 0 ? 'rope_scaling' : 'rope_parameters'
  const parameters = (key === 'rope_scaling' ? rope_scaling : rope_parameters) ?? {}
  const type = typeOf(parameters, where, types)
  checkParameters(parameters, type, `${where}: ${key}`, warn)
  const partial = parameters.partial_rotary_factor ?? beside.partial_rotary_factor ?? 1
  if (partial !== 1 && !partialRotary)
    refuseOrWarn(type, `${where}: "partial_rotary_factor" is ${partial}, and this family turns whole heads`, warn)
  const rotaryDim = Math.trunc(headDim * (partialRotary ? partial : 1))
  if (rotaryDim % 2 !== 0 || rotaryDim === 0)
    throw unsupported(`Rotary positions turn pairs, and each head has ${rotaryDim} dimensions that turn`, {
      where,
    })
  const originalLength =
    beside.original_max_position_embeddings ?? parameters.original_max_position_embeddings ?? maxPositionEmbeddings
  const scales = type === 'yarn' || type === 'llama3'
  const factor = parameters.factor ?? (type === 'yarn' ? maxPositionEmbeddings / originalLength : 1)
  return {
    type,
    theta: parameters.rope_theta ?? beside.rope_theta ?? 10000,
    rotaryDim,
    factor,
    originalMaxPositionEmbeddings: scales ? originalLength : maxPositionEmbeddings,
    lowFreqFactor: parameters.low_freq_factor ?? 1,
    highFreqFactor: parameters.high_freq_factor ?? 4,
    betaFast: parameters.beta_fast ?? 32,
    betaSlow: parameters.beta_slow ?? 1,
    truncate: parameters.truncate ?? true,
    attentionFactor: type === 'yarn' ? yarnAttention(parameters, factor) : 1,
  }
}

function typeOf(
  { rope_type, type: old }: Parameters,
  where: string,
  types: readonly string[] = Object.keys(TYPES),
): RopeConfig['type'] {
  const type = rope_type ?? old ?? 'default'
  if (types.includes(type)) return type as RopeConfig['type']
  const long = type === 'longrope' || type === 'su'
  throw unsupported(`Rotary positions of the type "${type}" are not supported`, {
    where,
    remedy: long
      ? 'Use the variant with the short context, such as Phi-3-mini-4k-instruct'
      : `Supported here are ${types.join(', ')}`,
  })
}

function checkParameters(parameters: Parameters, type: RopeConfig['type'], where: string, warn: Warn): void {
  const { required, optional = [] } = TYPES[type]
  const missing = required.filter((key) => parameters[key] == null)
  if (missing.length > 0)
    throw invalidFile(`Rotary positions of the type "${type}" need ${missing.join(', ')}`, {
      where,
    })
  const nested = Object.entries(parameters).filter(([, value]) => typeof value === 'object' && value !== null)
  if (nested.length > 0)
    throw unsupported(`Rotary positions with "${nested.map(([key]) => key).join('", "')}" are not supported`, {
      where,
      remedy: 'Supported are the same rotary positions in all layers, with numbers as parameters',
    })
  const used = [...COMMON, ...required, ...optional] as string[]
  // transformers leaves out what the type does not know, and says so.
  checkKeys({ values: parameters, used, known: [], where: `${where} of the type "${type}"`, remedy: '', warn })
}

/** transformers leaves the key out where nothing is scaled; where something is, its shapes do not fit. */
function refuseOrWarn(type: RopeConfig['type'], line: string, warn: Warn): void {
  if (type === 'default') warn(`${line}; it was not used`)
  else throw unsupported(line, { remedy: 'Remove partial_rotary_factor' })
}

/** YaRN's factor of cosines and sines. */
function yarnAttention({ attention_factor, mscale, mscale_all_dim }: Parameters, factor: number): number {
  const scale = (m: number) => (factor <= 1 ? 1 : 0.1 * m * Math.log(factor) + 1)
  if (attention_factor != null) return attention_factor
  return mscale && mscale_all_dim ? scale(mscale) / scale(mscale_all_dim) : scale(1)
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
  const [first, last] = [dimensionOf(betaFast), dimensionOf(betaSlow)]
  const low = Math.max(rope.truncate ? Math.floor(first) : first, 0)
  const high = Math.min(rope.truncate ? Math.ceil(last) : last, dim - 1)
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
