import type { FactorOf } from './schedule-factor'
import { warmup } from './warmup'

/**
 * A rise, a plateau, and a fall over the last `numDecaySteps` (Hu et al. 2024): transformers' `get_wsd_schedule`.
 * Without `numStableSteps` the plateau fills what is left of `totalSteps`.
 */
export const warmupStableDecay: FactorOf<'warmup_stable_decay'> = (
  step,
  { warmupSteps, totalSteps },
  { numDecaySteps, numStableSteps, warmupType, decayType, minLrRatio, numCycles },
) => {
  const stableSteps = numStableSteps ?? totalSteps - warmupSteps - numDecaySteps
  const above = (factor: number) => Math.max(0, factor * (1 - minLrRatio) + minLrRatio)
  if (step < warmupSteps) {
    const progress = warmup(step, warmupSteps)
    if (warmupType === 'linear') return above(progress)
    return above(warmupType === 'cosine' ? 0.5 * (1 - Math.cos(Math.PI * progress)) : 1 - Math.sqrt(1 - progress))
  }
  if (step < warmupSteps + stableSteps) return 1
  if (step >= warmupSteps + stableSteps + numDecaySteps) return minLrRatio
  const progress = (step - warmupSteps - stableSteps) / Math.max(1, numDecaySteps)
  if (decayType === 'linear') return above(1 - progress)
  return above(
    decayType === 'cosine' ? 0.5 * (1 + Math.cos(Math.PI * numCycles * 2 * progress)) : 1 - Math.sqrt(progress),
  )
}
