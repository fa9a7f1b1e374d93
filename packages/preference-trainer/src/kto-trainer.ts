import { Trainer } from '@tunesmith/sft-trainer'
import { type KTOConfig, type KTOConfigOptions, ktoConfig } from './config'
import { ktoObjective } from './kto-objective'
import { type PreferenceTrainerOptions, preferenceMethod } from './preference-trainer'
import { type LabelledAnswer, prepareUnpaired } from './prepare'

export interface KTOTrainerOptions extends PreferenceTrainerOptions {
  args: KTOConfigOptions
}

/** Kahneman-Tversky optimization, TRL's KTOTrainer: single answers, each labelled good or bad, in; adapter (or model) out. */
export class KTOTrainer extends Trainer<KTOConfig> {
  /** @throws {TunesmithError} `invalid_options`, before anything is computed. */
  constructor(options: KTOTrainerOptions) {
    super(options, () => {
      const config = ktoConfig(options.args)
      const source = { tokenizer: options.tokenizer, trainer: 'KTOTrainer' }
      return preferenceMethod(options, {
        config,
        hasReference: true,
        prepare: (rows, signal) => prepareUnpaired(rows, { ...source, signal }, config),
        answersOf: (row) => [...row, ...(row as LabelledAnswer[]).flatMap((answer) => answer.mismatched ?? [])],
        objective: (model, before) => ktoObjective(model, config, before),
      })
    })
  }
}
