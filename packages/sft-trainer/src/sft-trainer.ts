import { invalidOptions } from '@tunesmith/core'
import type { ComputeLoss } from '@tunesmith/models'
import type { Tokenizer } from '@tunesmith/tokenization'
import { checkLossConfig } from './check-config'
import { type SFTConfig, type SFTConfigOptions, sftConfig } from './config'
import { batchRows } from './data/batches'
import type { TrainingRows } from './data/check-inputs'
import { type FormattingFunc, type PreparedData, prepareDataset, prepareTokenized } from './data/prepare'
import { type Objective, sftObjective } from './loop/objective'
import { Trainer, type TrainerOptions } from './trainer'

export interface SFTTrainerOptions extends TrainerOptions {
  args: SFTConfigOptions
  formattingFunc?: FormattingFunc
  /**
   * The loss of each labelled token, in the place of `lossType` and `labelSmoothingFactor`: logits `[rows, vocab]` of some rows and
   * their labels int32 `[rows]` to `[rows]`, in differentiable TensorFlow.js operations. Called several times per micro-batch.
   */
  computeLoss?: ComputeLoss
}

/** Supervised fine-tuning, TRL's SFTTrainer: rows in, adapter (or model) out. */
export class SFTTrainer extends Trainer<SFTConfig> {
  /** @throws {TunesmithError} `invalid_options`, before anything is computed. */
  constructor(options: SFTTrainerOptions) {
    super(options, () => {
      const config = sftConfig(options.args)
      checkLossConfig(config, options)
      return {
        config,
        formattingFunc: options.formattingFunc,
        objective: (model) => ({
          ...sftObjective(model, config, options.computeLoss),
          prepare: preparing(config, options),
        }),
      }
    })
  }
}

/** Rows to token ids, labels and, where asked for, packed rows. */
function preparing(
  config: SFTConfig,
  { tokenizer, formattingFunc }: { tokenizer?: Tokenizer; formattingFunc?: FormattingFunc },
): Objective['prepare'] {
  async function prepared(rows: TrainingRows, packing: boolean, signal?: AbortSignal): Promise<PreparedData> {
    if (!('toArray' in rows)) return prepareTokenized(rows, config, packing)
    if (!tokenizer)
      throw invalidOptions('Rows of text need a tokenizer', { where: 'SFTTrainer', remedy: 'Pass `tokenizer`' })
    return prepareDataset(rows, tokenizer, config, { formattingFunc, packing, signal })
  }
  return async (rows, use, signal) => {
    const packing = use === 'eval' ? (config.evalPacking ?? config.packing) : config.packing
    const { examples, conversations, truncated, dropped, lengths, notPrinted } = await prepared(rows, packing, signal)
    const said = [truncated + dropped > 0 ? lengths : undefined, notPrinted].filter((line) => line !== undefined)
    return {
      data: await batchRows(examples, { ...config, packing }),
      conversations,
      notices: said.map((message) => ({ message, level: 'info' as const })),
    }
  }
}
