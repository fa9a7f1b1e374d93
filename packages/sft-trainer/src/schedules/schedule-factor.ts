import type { ScheduleKwargs, ScheduleName } from './kwargs'

/** What a schedule knows of the training. */
export interface FactorContext {
  /** Steps over which the factor rises from 0 to 1. */
  warmupSteps: number
  totalSteps: number
  /** The peak, for schedules with an absolute lowest rate. */
  learningRate: number
}

/** The factor on the peak learning rate at a step, 0 being the first, with transformers' arithmetic in its order. */
export type FactorOf<Name extends ScheduleName> = (
  step: number,
  context: FactorContext,
  kwargs: ScheduleKwargs<Name>,
) => number
