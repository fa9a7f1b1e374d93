import { TunesmithError } from '@tunesmith/core'
import { parseKeywords } from '../keyword-options'
import { constant, constantWithWarmup } from './constant'
import { cosine, cosineWarmupWithMinLr, cosineWithMinLr, cosineWithRestarts } from './cosine'
import { inverseSqrt } from './inverse-sqrt'
import { SCHEDULE_KWARGS, type ScheduleKwargs, type ScheduleName } from './kwargs'
import { linear } from './linear'
import { polynomial } from './polynomial'
import { reduceOnPlateau } from './reduce-on-plateau'
import type { Schedule, ScheduleOptions } from './schedule'
import type { FactorOf } from './schedule-factor'
import { warmupStableDecay } from './warmup-stable-decay'

type ByStep = Exclude<ScheduleName, 'reduce_lr_on_plateau'>

/** The schedules that follow from the step alone. */
const FACTORS: { [Name in ByStep]: FactorOf<Name> } = {
  linear,
  cosine,
  cosine_with_restarts: cosineWithRestarts,
  cosine_with_min_lr: cosineWithMinLr,
  cosine_warmup_with_min_lr: cosineWarmupWithMinLr,
  polynomial,
  constant,
  constant_with_warmup: constantWithWarmup,
  inverse_sqrt: inverseSqrt,
  warmup_stable_decay: warmupStableDecay,
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
    throw new TunesmithError('The polynomial schedule must end below where it begins', {
      code: 'invalid_options',
      where: 'lrSchedulerKwargs',
      remedy: `Set lrEnd below the learning rate, ${context.learningRate}`,
    })
  const factor = FACTORS[name] as FactorOf<ScheduleName>
  return { factor: (step) => factor(step, context, kwargs), state: () => ({}), load() {} }
}
