import { invalidOptions } from '@tunesmith/core'
import { z } from 'zod'
import { targetOptions } from '../../target-modules'
import { modulesToSaveOption } from '../../trained-copies'

export const adaLoraConfigSchema = z.strictObject({
  peftType: z.literal('ADALORA'),
  /** Rank each module begins with. Default 12. */
  initR: z.number().int().positive().default(12),
  /** Average rank of a module at the end. Default 8. */
  targetR: z.number().int().positive().default(8),
  /** Steps before ranks begin to fall. Default 0. */
  tinit: z.number().int().nonnegative().default(0),
  /** Last steps, with ranks that no longer change. Default 0. */
  tfinal: z.number().int().nonnegative().default(0),
  /** Steps from one allocation to the next. Default 1. */
  deltaT: z.number().int().positive().default(1),
  /** Smoothing of the importance of a parameter. Default 0.85. */
  beta1: z.number().gt(0).lt(1).default(0.85),
  /** Smoothing of how much it varies. Default 0.85. */
  beta2: z.number().gt(0).lt(1).default(0.85),
  /** Weight of the penalty that keeps the factors orthogonal. Default 0.5. */
  orthRegWeight: z.number().nonnegative().default(0.5),
  /** Steps of the whole training; ranks fall until `totalStep - tfinal`. */
  totalStep: z.number().int().positive(),
  /** The update is scaled by `loraAlpha / initR`. Default 8. */
  loraAlpha: z.number().positive().default(8),
  /** Probability of dropping an element of the update's input during training. Default 0. */
  loraDropout: z.number().min(0).lt(1).default(0),
  ...targetOptions,
  modulesToSave: modulesToSaveOption.modulesToSave,
  /** Biases that are trained. Default `none`. */
  bias: z.enum(['none', 'all', 'lora_only']).default('none'),
  /** false: the singular values are not zero, for tests. Default true. */
  initLoraWeights: z.boolean().default(true),
  /** Which ranks of each module are in use, by `<module>.lora_E`; written by training. */
  rankPattern: z.record(z.string(), z.array(z.boolean())).optional(),
})
/** What a caller may write. */
export type AdaLoraConfigOptions = z.input<typeof adaLoraConfigSchema>
/** With defaults filled in. */
export type AdaLoraConfig = z.output<typeof adaLoraConfigSchema>

/** @throws {TunesmithError} when no step is left for reducing ranks. */
export function checkAdaLoraConfig({ tinit, tfinal, totalStep }: AdaLoraConfig): void {
  if (tinit < totalStep - tfinal) return
  throw invalidOptions(`Of ${totalStep} steps, ${tinit} before and ${tfinal} after leave none for reducing ranks`, {
    where: 'ADALORA config',
    remedy: 'Lower tinit or tfinal, or raise totalStep',
  })
}
