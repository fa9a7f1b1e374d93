import { invalidOptions } from '@tunesmith/core'
import type { SFTConfig, TrainingConfig } from './config'

function refuse(what: string, where: string, remedy: string): never {
  throw invalidOptions(what, { where, remedy })
}

/** Checked before anything is computed. @throws {TunesmithError} `invalid_options` */
export function checkConfig(config: TrainingConfig, { evalDataset }: { evalDataset?: unknown }): void {
  if (config.learningRate === 0)
    refuse('The learning rate is 0: nothing would be learned', 'learningRate', 'Adapters want 1e-4 to 1e-3')
  const evaluates = config.evalStrategy !== 'no'
  if (evaluates && !evalDataset)
    refuse('There is no evaluation data', 'evalStrategy', 'Pass `evalDataset`, or set evalStrategy to "no"')
  if (!evaluates && config.loadBestModelAtEnd)
    refuse('Which model is best is not known without evaluations', 'loadBestModelAtEnd', 'Set evalStrategy')
  if (!evaluates && config.saveStrategy === 'best')
    refuse('Which checkpoint is best is not known without evaluations', 'saveStrategy', 'Set evalStrategy')
  if (!evaluates && config.lrSchedulerType === 'reduce_lr_on_plateau')
    refuse('reduce_lr_on_plateau waits for evaluations', 'lrSchedulerType', 'Set evalStrategy')
  // TRL offloads everything that autograd keeps. Here that is done for what checkpointing keeps, which is far less to move.
  if (config.activationOffloading && !config.gradientCheckpointing)
    refuse(
      'activationOffloading moves what gradient checkpointing keeps, and gradientCheckpointing is off',
      'activationOffloading',
      'Set gradientCheckpointing to true as well',
    )
  if (config.fp16 && config.bf16) refuse('fp16 and bf16 are both set', 'fp16', 'Choose one')
}

/** The loss that was asked for twice, or is none. @throws {TunesmithError} `invalid_options` */
export function checkLossConfig(config: SFTConfig, { computeLoss }: { computeLoss?: unknown }): void {
  if (computeLoss !== undefined && typeof computeLoss !== 'function')
    refuse('computeLoss is not a function', 'computeLoss', 'Pass (logits, labels) => the loss of each row')
  if (computeLoss && (config.lossType !== 'nll' || config.labelSmoothingFactor > 0))
    refuse(
      'computeLoss replaces lossType and labelSmoothingFactor, which are set',
      'computeLoss',
      'Leave those two at their defaults',
    )
}
