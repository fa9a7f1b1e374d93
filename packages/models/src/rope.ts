import { type RotaryTables, rotaryTables } from '@tunesmith/backend'
import { checkKeys, invalidFile, unsupported } from '@tunesmith/core'
import { z } from 'zod'
import type { ConfigFile, Warn } from './config-file'

/** How rotary positions turn into angles. */
export interface RopeConfig {
  type: 'default' | 'linear' | 'dynamic' | 'llama3' | 'yarn' | 'longrope' | 'proportional'
  theta: number
  /** Leading dimensions of each head that rotate. */
  rotaryDim: number
  factor: number
  /** Context length that the scaling refers to: for llama3, yarn and longrope what the model was first trained with. */
  originalMaxPositionEmbeddings: number
  lowFreqFactor: number
  highFreqFactor: number
  betaFast: number
  betaSlow: number
  /** yarn: the bounds of its ramp are rounded to whole dimensions. */
  truncate: boolean
  /** longrope: divides each pair's frequency, in sequences up to the original length and in longer ones. */
  shortFactor?: readonly number[]
  longFactor?: readonly number[]
  /** proportional: pairs that turn, of the `rotaryDim / 2`; the others stand still. */
  turningPairs?: number
  /** Multiplies cosines and sines; only yarn and longrope differ from 1. */
  attentionFactor: number
  /** Neighbouring dimensions are a pair, instead of one of the first half and one of the second. */
  interleaved: boolean
  /** Queries at position p are multiplied by `1 + beta ln(1 + floor(p / original length))`; 0 for none. */
  queryScalingBeta: number
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
  short_factor: z.array(positive).nullish(),
  long_factor: z.array(positive).nullish(),
  llama_4_scaling_beta: z.number().nonnegative().nullish(),
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
  longrope: {
    required: ['short_factor', 'long_factor'],
    optional: ['factor', 'attention_factor', 'original_max_position_embeddings'],
  },
  proportional: { required: [], optional: ['factor'] },
}

/** Names of types that mean another one. */
const OLD_TYPES: Readonly<Record<string, RopeConfig['type']>> = { su: 'longrope' }

const COMMON = ['rope_type', 'type', 'rope_theta', 'partial_rotary_factor']

/** What a type of scaling needs to know of the rest of the model. */
export interface RopeSurroundings {
  headDim: number
  maxPositionEmbeddings: number
  /**
   * The family turns a part of each head when it is told so: true, or the part that it turns when it is not. Others turn whole heads, and
   * transformers says nothing. Default false.
   */
  partialRotary?: boolean | number
  /** The types that the family has. Default all that need nothing of the family. */
  types?: readonly RopeConfig['type'][]
  /** Base of the frequencies where the file gives none. Default 10000. */
  theta?: number
  /** See {@link RopeConfig.interleaved}. Default false. */
  interleaved?: boolean
  /** The family scales queries by their position when it is told so. Default false. */
  queryScaling?: boolean
  /** Keys among the parameters that change nothing. */
  harmless?: readonly string[]
}

const besideShape = {
  rope_theta: positive.nullish(),
  partial_rotary_factor: positive.max(1).nullish(),
  original_max_position_embeddings: z.number().int().positive().nullish(),
}

/**
 * Reads the rotary positions as transformers 5 does: `rope_scaling` when it is there and not empty, else `rope_parameters`; `rope_theta` inside of it,
 * else beside it; `original_max_position_embeddings` beside it, else inside.
 *
 * @throws {TunesmithError} `unsupported` for a type that is not here, `invalid_file` for a key that is missing or wrong.
 */
export function ropeConfig(file: ConfigFile, surroundings: RopeSurroundings, warn: Warn = console.warn): RopeConfig {
  const { rope_parameters, rope_scaling, ...beside } = file.read({
    rope_parameters: parametersSchema.nullish(),
    rope_scaling: parametersSchema.nullish(),
    ...besideShape,
  })
  const key = rope_scaling && Object.keys(rope_scaling).length > 0 ? 'rope_scaling' : 'rope_parameters'
  const parameters = (key === 'rope_scaling' ? rope_scaling : rope_parameters) ?? {}
  return ropeOf({ ...beside, ...definedOnly(parameters), ...originalLength(beside) }, surroundings, {
    file: file.where,
    key,
    warn,
    parameters,
  })
}

/** The original length beside the parameters wins over the one inside. */
const originalLength = ({ original_max_position_embeddings: length }: Parameters) =>
  length == null ? {} : { original_max_position_embeddings: length }

const definedOnly = (values: Parameters): Parameters =>
  Object.fromEntries(Object.entries(values).filter(([, value]) => value != null))

/**
 * Rotary positions by type of layer: `rope_parameters` holds parameters per type. In files of before transformers 5 `rope_scaling` and
 * `rope_theta` are those of `full_attention`.
 *
 * @param thetas the types with the base that each has where the file gives none, and the key beside that gives it, if there is one.
 */
export function ropesByLayerType<Type extends string>(
  file: ConfigFile,
  surroundings: RopeSurroundings,
  thetas: Readonly<Record<Type, { theta: number; key?: string }>>,
  warn: Warn = console.warn,
): Record<Type, RopeConfig> {
  const types = Object.keys(thetas) as Type[]
  const perType = z.object(Object.fromEntries(types.map((type) => [type, parametersSchema.nullish()])))
  const { rope_parameters, rope_scaling, rope_theta, ...beside } = file.read({
    rope_parameters: perType.nullish(),
    rope_scaling: parametersSchema.nullish(),
    ...besideShape,
  })
  const of = (type: Type): RopeConfig => {
    const { theta, key } = thetas[type]
    const scaling = type === 'full_attention' ? (rope_scaling ?? {}) : {}
    const parameters = { ...(rope_parameters?.[type] as Parameters | undefined), ...scaling }
    const besideTheta = key === undefined ? undefined : file.read({ [key]: positive.nullish() })[key]
    const all = { rope_theta: besideTheta ?? theta, ...definedOnly(parameters), ...originalLength(beside) }
    const place = { file: file.where, key: `rope_parameters.${type}`, warn, parameters }
    return ropeOf(all, surroundings, place)
  }
  return Object.fromEntries(types.map((type) => [type, of(type)])) as Record<Type, RopeConfig>
}

interface Place {
  file: string
  /** The key of the file that holds the parameters. */
  key: string
  warn: Warn
  /** As they stand there. */
  parameters: Parameters
}

/** @param all the parameters, and what stands beside them. */
function ropeOf(
  all: Parameters,
  surroundings: RopeSurroundings,
  { file: where, key, warn, parameters }: Place,
): RopeConfig {
  const { headDim, maxPositionEmbeddings, partialRotary = false, theta = 10000 } = surroundings
  const type = typeOf(parameters, where, surroundings.types)
  checkParameters(parameters, type, `${where}: ${key}`, surroundings, warn)
  const whole = partialRotary === true || partialRotary === false ? 1 : partialRotary
  const partial = all.partial_rotary_factor ?? whole
  if (partial !== 1 && partialRotary === false && type !== 'proportional')
    refuseOrWarn(type, `${where}: "partial_rotary_factor" is ${partial}, and this family turns whole heads`, warn)
  const turning = Math.trunc(headDim * (partialRotary === false && type !== 'proportional' ? 1 : partial))
  const rotaryDim = type === 'proportional' ? headDim : turning
  if (rotaryDim % 2 !== 0 || rotaryDim === 0)
    throw unsupported(`Rotary positions turn pairs, and each head has ${rotaryDim} dimensions that turn`, {
      where,
    })
  const original = all.original_max_position_embeddings ?? maxPositionEmbeddings
  const scales = type === 'yarn' || type === 'llama3' || type === 'longrope'
  const stretched = type === 'yarn' || type === 'longrope' ? maxPositionEmbeddings / original : 1
  const factor = all.factor ?? stretched
  const rope: RopeConfig = {
    type,
    theta: all.rope_theta ?? theta,
    rotaryDim,
    factor,
    originalMaxPositionEmbeddings: scales || surroundings.queryScaling ? original : maxPositionEmbeddings,
    lowFreqFactor: all.low_freq_factor ?? 1,
    highFreqFactor: all.high_freq_factor ?? 4,
    betaFast: all.beta_fast ?? 32,
    betaSlow: all.beta_slow ?? 1,
    truncate: all.truncate ?? true,
    attentionFactor: attentionFactorOf(type, all, factor, original),
    interleaved: surroundings.interleaved ?? false,
    queryScalingBeta: surroundings.queryScaling ? (all.llama_4_scaling_beta ?? 0) : 0,
  }
  if (type === 'proportional') return { ...rope, turningPairs: Math.trunc(turning / 2) }
  if (type !== 'longrope') return rope
  const [shortFactor, longFactor] = [all.short_factor!, all.long_factor!]
  for (const [name, factors] of Object.entries({ short_factor: shortFactor, long_factor: longFactor }))
    if (factors.length !== rotaryDim / 2)
      throw invalidFile(`"${name}" has ${factors.length} entries for ${rotaryDim / 2} pairs of dimensions`, {
        where: `${where}: ${key}`,
      })
  return { ...rope, shortFactor, longFactor }
}

function typeOf(
  { rope_type, type: old }: Parameters,
  where: string,
  types: readonly string[] = Object.keys(TYPES),
): RopeConfig['type'] {
  const named = rope_type ?? old ?? 'default'
  const type = Object.hasOwn(OLD_TYPES, named) ? OLD_TYPES[named]! : named
  if (types.includes(type)) return type as RopeConfig['type']
  throw unsupported(`Rotary positions of the type "${named}" are not supported`, {
    where,
    remedy: `Supported here are ${types.join(', ')}`,
  })
}

function checkParameters(
  parameters: Parameters,
  type: RopeConfig['type'],
  where: string,
  { queryScaling, harmless = [] }: RopeSurroundings,
  warn: Warn,
): void {
  const { required, optional = [] } = TYPES[type]
  const missing = required.filter((key) => parameters[key] == null)
  if (missing.length > 0)
    throw invalidFile(`Rotary positions of the type "${type}" need ${missing.join(', ')}`, {
      where,
    })
  const nested = Object.entries(parameters).filter(
    ([, value]) => typeof value === 'object' && value !== null && !Array.isArray(value),
  )
  if (nested.length > 0)
    throw unsupported(`Rotary positions with "${nested.map(([key]) => key).join('", "')}" are not supported`, {
      where,
      remedy: 'Supported are the same rotary positions in all layers of this family, with numbers as parameters',
    })
  const scaling = queryScaling ? ['llama_4_scaling_beta', 'original_max_position_embeddings'] : []
  const used = [...COMMON, ...required, ...optional, ...scaling, ...harmless] as string[]
  // transformers leaves out what the type does not know, and says so.
  checkKeys({ values: parameters, used, known: [], where: `${where} of the type "${type}"`, remedy: '', warn })
}

/** transformers leaves the key out where nothing is scaled; where something is, its shapes do not fit. */
function refuseOrWarn(type: RopeConfig['type'], line: string, warn: Warn): void {
  if (type === 'default') warn(`${line}; it was not used`)
  else throw unsupported(line, { remedy: 'Remove partial_rotary_factor' })
}

function attentionFactorOf(type: RopeConfig['type'], parameters: Parameters, factor: number, original: number): number {
  if (type === 'yarn') return yarnAttention(parameters, factor)
  if (type !== 'longrope') return 1
  // Ding et al. 2024.
  return parameters.attention_factor ?? (factor <= 1 ? 1 : Math.sqrt(1 + Math.log(factor) / Math.log(original)))
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
 * @param length longest position in the sequence plus one; only those that {@link dependsOnLength} depend on it.
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
    case 'longrope': {
      const factors = (length > originalMaxPositionEmbeddings ? rope.longFactor : rope.shortFactor)!
      return plainFrequencies(rotaryDim, theta).map((frequency, i) => frequency / factors[i]!)
    }
    case 'proportional':
      return plainFrequencies(rotaryDim, theta).map((frequency, i) => (i < rope.turningPairs! ? frequency / factor : 0))
    default:
      return plainFrequencies(rotaryDim, theta)
  }
}

/** Frequencies differ between shorter and longer sequences. */
export const dependsOnLength = ({ type }: RopeConfig): boolean => type === 'dynamic' || type === 'longrope'

/** The distinct rotary positions of a model's layers, in the order of the layers. */
export const ropesOf = ({ layers }: { layers: readonly { rope: RopeConfig | undefined }[] }): RopeConfig[] => [
  ...new Set(layers.flatMap(({ rope }) => rope ?? [])),
]

/** Cosines and sines of some positions, and for queries that are scaled by their position, those of queries. */
export interface RopeTables {
  keys: RotaryTables
  queries?: RotaryTables
}

/**
 * The tables `[tokens, rotaryDim / 2]` of sequences that lie end to end. Each sequence has the frequencies of its own length, so
 * that it does not matter which others it is packed with.
 *
 * @param positions `[tokens]`
 * @param cuSeqlens `[sequences + 1]`
 */
export function ropeTables(rope: RopeConfig, positions: ArrayLike<number>, cuSeqlens: ArrayLike<number>): RopeTables {
  const keys = dependsOnLength(rope)
    ? tablesBySequence(rope, positions, cuSeqlens)
    : rotaryTables(positions, inverseFrequencies(rope, 0), rope.attentionFactor)
  if (rope.queryScalingBeta === 0) return { keys }
  const half = rope.rotaryDim / 2
  const scaled = (values: Float32Array) =>
    values.map((value, i) => {
      const position = positions[Math.floor(i / half)]!
      const stretches = Math.floor(position / rope.originalMaxPositionEmbeddings)
      return value * (1 + rope.queryScalingBeta * Math.log(1 + stretches))
    })
  return { keys, queries: { cos: scaled(keys.cos), sin: scaled(keys.sin) } }
}

function tablesBySequence(rope: RopeConfig, positions: ArrayLike<number>, cuSeqlens: ArrayLike<number>): RotaryTables {
  const half = rope.rotaryDim / 2
  const tables = { cos: new Float32Array(positions.length * half), sin: new Float32Array(positions.length * half) }
  const all = Array.from(positions)
  for (let s = 0; s + 1 < cuSeqlens.length; s++) {
    const rows = all.slice(cuSeqlens[s], cuSeqlens[s + 1])
    const length = rows.reduce((longest, position) => Math.max(longest, position + 1), 0)
    const part = rotaryTables(rows, inverseFrequencies(rope, length), rope.attentionFactor)
    for (const key of ['cos', 'sin'] as const) tables[key].set(part[key], cuSeqlens[s]! * half)
  }
  return tables
}
