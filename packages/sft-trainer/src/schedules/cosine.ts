import type { FactorContext, FactorOf } from './schedule-factor'
import { afterWarmup, warmup } from './warmup'

/** `cycles` cosine waves over `progress` 0 to 1; half a wave falls from 1 to 0. */
const wave = (cycles: number, progress: number) => 0.5 * (1 + Math.cos(Math.PI * cycles * 2 * progress))

const between = (factor: number, lowest: number) => factor * (1 - lowest) + lowest

/** Transformers' `get_cosine_schedule_with_warmup`. */
export const cosine: FactorOf<'cosine'> = (step, { warmupSteps, totalSteps }, { numCycles }) =>
  step < warmupSteps
    ? warmup(step, warmupSteps)
    : Math.max(0, wave(numCycles, afterWarmup(step, warmupSteps, totalSteps)))

/** Starts again from the peak `numCycles` times: `get_cosine_with_hard_restarts_schedule_with_warmup`. */
export const cosineWithRestarts: FactorOf<'cosine_with_restarts'> = (
  step,
  { warmupSteps, totalSteps },
  { numCycles },
) => {
  if (step < warmupSteps) return warmup(step, warmupSteps)
  const progress = afterWarmup(step, warmupSteps, totalSteps)
  return progress >= 1 ? 0 : Math.max(0, 0.5 * (1 + Math.cos(Math.PI * ((numCycles * progress) % 1))))
}

/** The kwargs allow exactly one of the two. */
function lowestFactor({ minLr, minLrRate }: { minLr?: number; minLrRate?: number }, { learningRate }: FactorContext) {
  return minLr === undefined ? minLrRate! : minLr / learningRate
}

/** Falls to `minLr` and not to 0: `get_cosine_with_min_lr_schedule_with_warmup`. */
export const cosineWithMinLr: FactorOf<'cosine_with_min_lr'> = (step, context, kwargs) => {
  const { warmupSteps, totalSteps } = context
  if (step < warmupSteps) return warmup(step, warmupSteps)
  const progress = afterWarmup(step, warmupSteps, totalSteps)
  return Math.max(0, between(wave(kwargs.numCycles, progress), lowestFactor(kwargs, context)))
}

/**
 * The same one step ahead, with a warmup that does not begin at 0:
 * `get_cosine_with_min_lr_schedule_with_warmup_lr_rate`.
 */
export const cosineWarmupWithMinLr: FactorOf<'cosine_warmup_with_min_lr'> = (step, context, kwargs) => {
  const { warmupSteps, totalSteps } = context
  const { numCycles, warmupLrRate } = kwargs
  if (step < warmupSteps) {
    if (warmupLrRate === undefined) return warmup(step + 1, warmupSteps)
    return warmupLrRate + ((1 - warmupLrRate) * step) / Math.max(1, warmupSteps - 1)
  }
  const progress = afterWarmup(step + 1, warmupSteps, totalSteps)
  return Math.max(0, between(wave(numCycles, progress), lowestFactor(kwargs, context)))
}
