import type { FactorOf } from './schedule-factor'
import { warmup } from './warmup'

/** Falls with the root of the step, never to 0: transformers' `get_inverse_sqrt_schedule`. */
export const inverseSqrt: FactorOf<'inverse_sqrt'> = (step, { warmupSteps }, { timescale }) => {
  if (step < warmupSteps) return warmup(step, warmupSteps)
  const scale = timescale ?? (warmupSteps || 10_000)
  return 1 / Math.sqrt((step + (scale - warmupSteps)) / scale)
}
