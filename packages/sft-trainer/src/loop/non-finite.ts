import { TunesmithError } from '@tunesmith/core'
import type { Emitter } from '../callbacks/emitter'
import type { MicroBatch } from '../data/batches'
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
          'Lower the learning rate, look at those rows for broken text and at what computeLoss returns, if there is one, and resume from the last checkpoint (resumeFromCheckpoint)',
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
