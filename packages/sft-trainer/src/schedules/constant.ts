import type { FactorOf } from './schedule-factor'
import { warmup } from './warmup'

/** The peak learning rate throughout: transformers' `get_constant_schedule`, which knows no warmup. */
export const constant: FactorOf<'constant'> = () => 1

/** Transformers' `get_constant_schedule_with_warmup`. */
export const constantWithWarmup: FactorOf<'constant_with_warmup'> = (step, { warmupSteps }) =>
  step < warmupSteps ? warmup(step, warmupSteps) : 1
