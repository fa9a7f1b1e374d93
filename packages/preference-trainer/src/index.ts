export { type PreferenceAccuracy, type PreferenceAccuracyOptions, preferenceAccuracy } from './accuracy'
export {
  type DPOConfig,
  type DPOConfigOptions,
  dpoConfig,
  dpoConfigSchema,
  type KTOConfig,
  type KTOConfigOptions,
  ktoConfig,
  ktoConfigSchema,
} from './config'
export { DPOTrainer, type DPOTrainerOptions } from './dpo-trainer'
export { KTOTrainer, type KTOTrainerOptions } from './kto-trainer'
export {
  DIVERGENCES,
  type DivergenceName,
  LOSSES,
  type LossName,
  type LossOptions,
  type PairLoss,
  type Pairs,
  type Side,
  UNPAIRED_LOSSES,
  type UnpairedLossName,
} from './losses'
export type { PreferenceTrainerOptions } from './preference-trainer'
