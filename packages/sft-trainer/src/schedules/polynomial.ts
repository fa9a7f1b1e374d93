import type { FactorOf } from './schedule-factor'
import { warmup } from './warmup'

/** From the peak to `lrEnd` along a power: transformers' `get_polynomial_decay_schedule_with_warmup`. */
export const polynomial: FactorOf<'polynomial'> = (
  step,
  { warmupSteps, totalSteps, learningRate },
  { lrEnd, power },
) => {
  if (step < warmupSteps) return warmup(step, warmupSteps)
  if (step > totalSteps) return lrEnd / learningRate
  const remaining = 1 - (step - warmupSteps) / Math.max(1, totalSteps - warmupSteps)
  return ((learningRate - lrEnd) * remaining ** power + lrEnd) / learningRate
}
