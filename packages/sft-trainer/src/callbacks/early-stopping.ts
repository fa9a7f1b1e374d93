import { invalidOptions, parseOptions } from '@tunesmith/core'
import { z } from 'zod'
import { isBetter, metricValue } from '../loop/best-metric'
import type { TrainerCallback } from './events'

export const earlyStoppingSchema = z.strictObject({
  /** Evaluations in a row without improvement before training stops. Default 1. */
  patience: z.number().int().positive().default(1),
  /** How much the metric must improve to count. Default 0. */
  threshold: z.number().nonnegative().default(0),
})
export type EarlyStoppingOptions = z.input<typeof earlyStoppingSchema>

/** Stops when `metricForBestModel` no longer improves, as transformers' EarlyStoppingCallback. */
export function earlyStopping(options: EarlyStoppingOptions = {}): TrainerCallback {
  const { patience, threshold } = parseOptions(earlyStoppingSchema, options, 'earlyStopping')
  let waited = 0
  let best: number | undefined
  return {
    name: 'earlyStopping',
    onTrainBegin(_, { config }) {
      if (config.evalStrategy === 'no')
        throw invalidOptions('Early stopping needs evaluations', {
          where: 'earlyStopping',
          remedy: 'Set evalStrategy to "steps" or "epoch"',
        })
    },
    onEvaluate(log, { config, control }) {
      const value = metricValue(log, config)
      const improved = best === undefined || (isBetter(value, best, config) && Math.abs(value - best) > threshold)
      waited = improved ? 0 : waited + 1
      if (best === undefined || isBetter(value, best, config)) best = value
      if (waited >= patience) control.shouldTrainingStop = true
    },
    state: () => ({ waited, best: best ?? null }),
    load(state) {
      waited = state.waited as number
      best = (state.best as number | null) ?? undefined
    },
  }
}
