import { detectFormat, toPreferenceRow } from '@tunesmith/datasets'
import { Trainer } from '@tunesmith/sft-trainer'
import { type DPOConfig, type DPOConfigOptions, dpoConfig, needsReference } from './config'
import { dpoObjective } from './dpo-objective'
import { type PreferenceTrainerOptions, preferenceMethod } from './preference-trainer'
import { preparePairs } from './prepare'

export interface DPOTrainerOptions extends PreferenceTrainerOptions {
  args: DPOConfigOptions
}

/**
 * Direct preference optimization and its kin, TRL's DPOTrainer, CPOTrainer and ORPOTrainer: pairs of a better and a worse answer in,
 * adapter (or model) out.
 */
export class DPOTrainer extends Trainer<DPOConfig> {
  /** @throws {TunesmithError} `invalid_options`, before anything is computed. */
  constructor(options: DPOTrainerOptions) {
    super(options, () => {
      const config = dpoConfig(options.args)
      const source = { tokenizer: options.tokenizer, trainer: 'DPOTrainer' }
      return {
        ...preferenceMethod(options, {
          config,
          hasReference: needsReference(config),
          ldAlpha: config.ldAlpha,
          prepare: (rows, signal) => preparePairs(rows, { ...source, signal }, config),
          answersOf: (row) => row,
          objective: (model, before) => dpoObjective(model, config, before),
        }),
        formattingFunc: chosenAnswer(config),
      }
    })
  }
}

/** For answers to evaluation prompts: they are compared with the chosen ones. */
function chosenAnswer({ style }: DPOConfig) {
  return (row: Record<string, unknown>) => {
    const format = detectFormat(Object.keys(row), { format: 'preference', preference: 'chosen' })
    const { prompt, chosen } = toPreferenceRow(row, format, { style }, 'evalDataset')
    return { prompt, completion: chosen }
  }
}
