import type { FactorOf } from './schedule-factor'
import { warmup } from './warmup'

/** A straight line to 0 at `totalSteps`: transformers' `get_linear_schedule_with_warmup`. */
export const linear: FactorOf<'linear'> = (step, { warmupSteps, totalSteps }) =>
  step < warmupSteps
    ? warmup(step, warmupSteps)
    : Math.max(0, (totalSteps - step) / Math.max(1, totalSteps - warmupSteps))
