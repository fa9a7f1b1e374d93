import { TunesmithError } from '@tunesmith/core'
import type { MicroBatch } from '../data/batches'
import type { MicroSums } from './objective'
import type { RunState } from './run-state'
import type { TrainRun } from './train-run'

/** Row numbers for a message, not all of a large batch. */
function listRows(sources: readonly number[]): string {
  const known = sources.filter((row) => row >= 0)
  if (known.length === 0) return 'rows that packing has cut'
  const shown = known.slice(0, 12).join(', ')
  return `row${known.length === 1 ? '' : 's'} ${shown}${known.length > 12 ? ` and ${known.length - 12} more` : ''}`
}

/**
 * Warns of a step that is left out because its loss or gradient is NaN or infinite.
 *
 * @throws {TunesmithError} `numerical` after `maxNonFiniteSteps` such steps in a row.
 */
export async function reportNonFinite(
  { state, emitter, config: { maxNonFiniteSteps: most } }: TrainRun,
  { loss, norm, sums, micros }: { loss: number; norm: number; sums: MicroSums[]; micros: MicroBatch[] },
): Promise<void> {
  state.nonFiniteInARow++
  const step = state.globalStep + 1
  const broken = micros.filter((_, i) => !Number.isFinite(sums[i]!.loss))
  const rows = listRows((broken.length > 0 ? broken : micros).flatMap(({ sources }) => sources))
  const what = `The loss is ${loss} and the gradient norm ${norm} with ${rows} of the training data`
  if (state.nonFiniteInARow >= most)
    throw new TunesmithError(`${what}; ${most} steps in a row had to be left out`, {
      code: 'numerical',
      where: `step ${step}`,
      remedy:
        'Lower the learning rate, look at those rows for broken text and at what computeLoss returns, if there is one, and resume from the last checkpoint (resumeFromCheckpoint)',
    })
  await emitter.notice(`step ${step} was left out: ${what}`, 'warning')
}

/** @throws {TunesmithError} `numerical` when not one step could be made. */
export function mustHaveUpdates({ updates, skippedSteps }: RunState): void {
  if (updates > 0 || skippedSteps === 0) return
  throw new TunesmithError(`None of the ${skippedSteps} steps could be made: the loss was never a number`, {
    code: 'numerical',
    remedy: 'Look for NaN in the weights the model was loaded from, and for broken text in the rows named above',
  })
}
