import { TunesmithError } from '@tunesmith/core'
import type { Emitter } from '../callbacks/emitter'
import type { SFTConfig } from '../config'
import type { BatchRows, MicroBatch } from '../data/batches'
import type { LossSums } from './micro-batch'
import type { RunState } from './run-state'

/** Row numbers for a message, not all of a large batch. */
function listRows(sources: readonly number[]): string {
  const known = sources.filter((row) => row >= 0)
  if (known.length === 0) return 'rows that packing has cut'
  const shown = known.slice(0, 12).join(', ')
  return `row${known.length === 1 ? '' : 's'} ${shown}${known.length > 12 ? ` and ${known.length - 12} more` : ''}`
}

/** What happens to a step whose loss or gradient is NaN or infinite: left out, counted, said; too many in a row end training. */
export class NonFiniteGuard {
  constructor(
    readonly emitter: Emitter,
    readonly most: number,
  ) {}

  /** @throws {TunesmithError} `numerical` after `most` such steps in a row. */
  async report(
    state: RunState,
    {
      step,
      loss,
      norm,
      sums,
      micros,
    }: { step: number; loss: number; norm: number; sums: readonly LossSums[]; micros: readonly MicroBatch[] },
  ): Promise<void> {
    state.nonFiniteInARow++
    const broken = micros.filter((_, i) => !Number.isFinite(sums[i]!.loss))
    const rows = listRows((broken.length > 0 ? broken : micros).flatMap(({ sources }) => sources))
    const what = `The loss is ${loss} and the gradient norm ${norm} with ${rows} of the training data`
    if (state.nonFiniteInARow >= this.most)
      throw new TunesmithError(`${what}; ${this.most} steps in a row had to be left out`, {
        code: 'numerical',
        where: `step ${step}`,
        remedy:
          'Lower the learning rate, look at those rows for broken text, and resume from the last checkpoint (resumeFromCheckpoint)',
      })
    await this.emitter.notice(`step ${step} was left out: ${what}`, 'warning')
  }

  /** @throws {TunesmithError} `numerical` when not one step could be made. */
  finish({ updates, skippedSteps }: RunState): void {
    if (updates > 0 || skippedSteps === 0) return
    throw new TunesmithError(`None of the ${skippedSteps} steps could be made: the loss was never a number`, {
      code: 'numerical',
      remedy: 'Look for NaN in the weights the model was loaded from, and for broken text in the rows named above',
    })
  }
}

/** Checked before anything is computed. @throws {TunesmithError} `invalid_options` */
export function checkConfig(config: SFTConfig, { hasEvalDataset }: { hasEvalDataset: boolean }): void {
  const refuse = (what: string, where: string, remedy: string): never => {
    throw new TunesmithError(what, { code: 'invalid_options', where, remedy })
  }
  if (config.learningRate === 0)
    refuse('The learning rate is 0: nothing would be learned', 'learningRate', 'Adapters want 1e-4 to 1e-3')
  const evaluates = config.evalStrategy !== 'no'
  if (evaluates && !hasEvalDataset)
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

/** What a person should know about the data before it is trained on. */
export function dataNotices({ rows }: BatchRows, config: SFTConfig): string[] {
  const perStep = config.perDeviceTrainBatchSize * config.gradientAccumulationSteps
  if (rows.length >= perStep || config.dataloaderDropLast) return []
  const unit = config.packing ? 'packed rows' : 'rows'
  return [
    `there are ${rows.length} ${unit}, fewer than the ${perStep} of a step (perDeviceTrainBatchSize x gradientAccumulationSteps): every step sees all of them`,
  ]
}
