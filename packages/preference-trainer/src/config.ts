import { invalidOptions, parseOptions } from '@tunesmith/core'
import { trainingConfigSchema } from '@tunesmith/sft-trainer'
import { z } from 'zod'
import {
  DIVERGENCES,
  type DivergenceName,
  LOSSES,
  type LossName,
  UNPAIRED_LOSSES,
  type UnpairedLossName,
  WITH_DIVERGENCE,
  WITHOUT_REFERENCE,
} from './losses'

const count = z.number().int().positive()
const names = <Name extends string>(table: Record<Name, unknown>) => Object.keys(table) as [Name, ...Name[]]

const preferenceConfigSchema = trainingConfigSchema.extend({
  /** Default 1e-6, as in TRL; adapters want 5e-6 to 5e-5. */
  learningRate: z.number().nonnegative().default(1e-6),
  /** How strongly the reference holds: greater stays nearer. IPO's tau, ORPO's lambda. Default 0.1. */
  beta: z.number().positive().default(0.1),
  /** No dropout in the trained adapter either. Default true. */
  disableDropout: z.boolean().default(true),
  /**
   * Compute the reference's log-probabilities of all rows before the first step, and keep them in `outputDir` for the next run. False:
   * with each batch, which asks one more forward pass of every step. Default true (TRL: false); the numbers are the same.
   */
  precomputeRefLogProbs: z.boolean().default(true),
  /** Rows per batch of that. Default: `perDeviceTrainBatchSize`. */
  precomputeRefBatchSize: count.optional(),
  /** Whether text prompts become conversations (`chat`) or stay text (`plain`). Default `plain`. */
  style: z.enum(['chat', 'plain']).default('plain'),
})

export const dpoConfigSchema = preferenceConfigSchema.extend({
  /** A loss, or several, whose sum is minimised. Default `sigmoid`. */
  lossType: z
    .union([z.enum(names<LossName>(LOSSES)), z.array(z.enum(names<LossName>(LOSSES))).min(1)], {
      error: `expected one of ${Object.keys(LOSSES).join(', ')}, or a list of them`,
    })
    .default('sigmoid'),
  /** Of several losses, one for each. Default: all 1. */
  lossWeights: z.array(z.number()).optional(),
  /** The share of the labels taken for wrong, in `robust`, `exo_pair`, `aot`, `aot_unpaired`, `simpo` and `cpo`. Default 0. */
  labelSmoothing: z.number().min(0).max(1).default(0),
  /** LD-DPO (Liu et al. 2024): the weight of an answer's tokens beyond the length of the shorter one, 0 to 1. Default 1. */
  ldAlpha: z.number().min(0).max(1).optional(),
  /** f-DPO's divergence from the reference. Default `reverse_kl`. */
  fDivergenceType: z.enum(names<DivergenceName>(DIVERGENCES)).default('reverse_kl'),
  /** Of `alpha_divergence`. Default 0.5. */
  fAlphaDivergenceCoef: z.number().default(0.5),
  /** WPO (Zhou et al. 2024): pairs weigh by how likely the model is to say them. One more forward pass. Default false. */
  useWeighting: z.boolean().default(false),
  /** Of `discopop`. Default 0.05. */
  discopopTau: z.number().positive().default(0.05),
  /** Of `simpo`: the margin that is enough. Default 0.5. */
  simpoGamma: z.number().default(0.5),
  /** Of `cpo`: the weight of the likelihood. Default 1. */
  cpoAlpha: z.number().nonnegative().default(1),
})

/** DPOConfig's names in camelCase, with those of CPOConfig and ORPOConfig; defaults TRL's where not said otherwise. */
export type DPOConfigOptions = z.input<typeof dpoConfigSchema>
export type DPOConfig = z.output<typeof dpoConfigSchema>

export const ktoConfigSchema = preferenceConfigSchema.extend({
  /** Default `kto`. */
  lossType: z.enum(names<UnpairedLossName>(UNPAIRED_LOSSES)).default('kto'),
  /** Of answers to learn. Default 1. */
  desirableWeight: z.number().nonnegative().default(1),
  /** Of answers to avoid. Default 1. */
  undesirableWeight: z.number().nonnegative().default(1),
  /** In order: the KL of a batch is estimated with its neighbours. */
  trainSamplingStrategy: trainingConfigSchema.shape.trainSamplingStrategy.unwrap().default('sequential'),
})

/** KTOConfig's names in camelCase; defaults TRL's where not said otherwise. */
export type KTOConfigOptions = z.input<typeof ktoConfigSchema>
export type KTOConfig = z.output<typeof ktoConfigSchema>

/** The losses with their weights. */
export function weightedLosses({ lossType, lossWeights }: Pick<DPOConfig, 'lossType' | 'lossWeights'>) {
  return [lossType].flat().map((name, i) => ({ name, weight: lossWeights?.[i] ?? 1 }))
}

/** Whether the losses ask what a reference says of the answers. */
export function needsReference({ lossType }: Pick<DPOConfig, 'lossType'>): boolean {
  const losses = [lossType].flat()
  const free = losses.filter((name) => WITHOUT_REFERENCE.includes(name)).length
  return free === 0 || losses.some((name) => !WITHOUT_REFERENCE.includes(name) && name !== 'sft')
}

/** @throws {TunesmithError} `invalid_options`, before anything is computed. */
export function dpoConfig(options: DPOConfigOptions, where = 'DPOConfig'): DPOConfig {
  const config = parseOptions(dpoConfigSchema, options, where)
  const refuse = (what: string, place: string, remedy: string): never => {
    throw invalidOptions(what, { where: place, remedy })
  }
  const losses = [config.lossType].flat()
  const { lossWeights, labelSmoothing } = config
  const one = (wanted: readonly LossName[]) => losses.find((name) => wanted.includes(name))
  if (lossWeights && lossWeights.length !== losses.length)
    refuse(
      `There are ${lossWeights.length} weights for ${losses.length} losses`,
      'lossWeights',
      `Give one weight for each of ${losses.join(', ')}`,
    )
  const other = losses.find((name) => !WITH_DIVERGENCE.includes(name))
  if (config.fDivergenceType !== 'reverse_kl' && other)
    refuse(
      `The loss "${other}" is not defined with ${config.fDivergenceType}`,
      'fDivergenceType',
      `Use reverse_kl, or one of the losses ${WITH_DIVERGENCE.join(', ')}`,
    )
  const sorting = one(['aot', 'aot_unpaired'])
  if (config.useWeighting && sorting)
    refuse(
      `"${sorting}" sorts the batch, after which no pair has a weight of its own`,
      'useWeighting',
      'Leave it off, or choose another loss',
    )
  const free = one(WITHOUT_REFERENCE)
  if (config.ldAlpha !== undefined && free)
    refuse(`"${free}" does not know ldAlpha`, 'ldAlpha', 'Leave it out, or choose another loss')
  if (one(['exo_pair']) && !(labelSmoothing > 0 && labelSmoothing < 1))
    refuse('"exo_pair" needs some label smoothing', 'labelSmoothing', 'Set it to 1e-3, as in the paper')
  if (one(['robust']) && labelSmoothing >= 0.5)
    refuse(
      '"robust" is told that half of the labels or more are wrong',
      'labelSmoothing',
      'Set it below 0.5; the paper takes 0.1',
    )
  return config
}

/** @throws {TunesmithError} `invalid_options`, before anything is computed. */
export function ktoConfig(options: KTOConfigOptions, where = 'KTOConfig'): KTOConfig {
  const config = parseOptions(ktoConfigSchema, options, where)
  if (config.lossType !== 'kto') return config
  if (config.perDeviceTrainBatchSize < 2)
    throw invalidOptions(
      'KTO compares each prompt with the answer to another one of its batch, and a batch has one row',
      {
        where: 'perDeviceTrainBatchSize',
        remedy: 'Set it to 2 or more, or take lossType "apo_zero_unpaired", which has no such estimate',
      },
    )
  if (config.trainSamplingStrategy !== 'sequential')
    throw invalidOptions('KTO estimates the KL with the neighbours of a row, which another order would part', {
      where: 'trainSamplingStrategy',
      remedy: 'Set it to "sequential", and shuffle the rows before',
    })
  return config
}
