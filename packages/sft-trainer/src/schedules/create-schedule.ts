import { invalidOptions } from '@tunesmith/core'
import { parseKeywords } from '../keyword-options'
import { FACTORS, type FactorContext } from './by-step'
import { SCHEDULE_KWARGS, type ScheduleKwargs, type ScheduleName } from './kwargs'
import { reduceOnPlateau } from './reduce-on-plateau'
import type { Schedule } from './schedule'

export interface ScheduleOptions extends FactorContext {
  /** transformers' `lr_scheduler_kwargs` in camelCase, or as they are. */
  kwargs: Record<string, unknown>
  /** Whether a larger metric is better, for `reduce_lr_on_plateau`. */
  greaterIsBetter: boolean
}

/**
 * A schedule by transformers' name (`get_scheduler`).
 *
 * @throws {TunesmithError} `invalid_options` when `kwargs` do not fit the schedule.
 */
export function createSchedule(name: ScheduleName, options: ScheduleOptions): Schedule {
  const { kwargs: given, greaterIsBetter, ...context } = options
  const kwargs = parseKeywords(SCHEDULE_KWARGS[name], given, `lrSchedulerKwargs of ${name}`)
  if (name === 'reduce_lr_on_plateau')
    return reduceOnPlateau(kwargs as ScheduleKwargs<typeof name>, context.learningRate, greaterIsBetter)
  if (name === 'polynomial' && (kwargs as ScheduleKwargs<typeof name>).lrEnd >= context.learningRate)
    throw invalidOptions('The polynomial schedule must end below where it begins', {
      where: 'lrSchedulerKwargs',
      remedy: `Set lrEnd below the learning rate, ${context.learningRate}`,
    })
  const factor = FACTORS[name] as (step: number, context: FactorContext, kwargs: object) => number
  return { factor: (step) => factor(step, context, kwargs), state: () => ({}), load() {} }
}
