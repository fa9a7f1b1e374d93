import type { ScheduleKwargs } from './kwargs'
import type { Schedule } from './schedule'

/**
 * Lowers the learning rate when a metric stops improving: torch's `ReduceLROnPlateau`, which transformers feeds with one
 * metric per evaluation.
 *
 * @param peak the learning rate before any reduction.
 */
export function reduceOnPlateau(
  kwargs: ScheduleKwargs<'reduce_lr_on_plateau'>,
  peak: number,
  greaterIsBetter: boolean,
): Schedule {
  const { factor, patience, threshold, thresholdMode, cooldown, minLr, eps } = kwargs
  const max = (kwargs.mode ?? (greaterIsBetter ? 'max' : 'min')) === 'max'
  const start = { best: undefined as number | undefined, badEvaluations: 0, cooldownLeft: 0, rate: peak }
  let state = start

  /** What a metric must be beyond to count as better. */
  const bar = (best: number) => {
    if (thresholdMode === 'rel') return max ? best * (threshold + 1) : best * (1 - threshold)
    return max ? best + threshold : best - threshold
  }
  // A metric that is not a number is never better.
  const isBetter = (metric: number) => {
    const beyond = state.best === undefined ? (max ? -Infinity : Infinity) : bar(state.best)
    return max ? metric > beyond : metric < beyond
  }
  return {
    factor: () => state.rate / peak,
    onMetric(metric) {
      let { best, badEvaluations, cooldownLeft, rate } = state
      if (isBetter(metric)) [best, badEvaluations] = [metric, 0]
      else badEvaluations++
      if (cooldownLeft > 0) [cooldownLeft, badEvaluations] = [cooldownLeft - 1, 0]
      if (badEvaluations > patience) {
        const reduced = Math.max(rate * factor, minLr)
        if (rate - reduced > eps) rate = reduced
        ;[cooldownLeft, badEvaluations] = [cooldown, 0]
      }
      state = { best, badEvaluations, cooldownLeft, rate }
    },
    state() {
      const { best, ...rest } = state
      return best === undefined ? rest : { best, ...rest }
    },
    load(saved) {
      state = { ...start, ...saved }
    },
  }
}
