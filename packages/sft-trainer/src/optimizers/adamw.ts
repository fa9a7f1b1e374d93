import { adamWSteps } from '@tunesmith/backend'
import type { Optimizer, ParameterGroup } from './optimizer'
import { perParameterOptimizer } from './per-parameter'

export interface AdamWOptions {
  beta1: number
  beta2: number
  eps: number
  /** The states may leave the device when its memory is short, as bitsandbytes' paged optimizers do. Default false. */
  pageable?: boolean
}

/** AdamW (Loshchilov and Hutter 2019) with torch's arithmetic; both moments are float32. */
export function adamW(groups: readonly ParameterGroup[], { pageable = false, ...options }: AdamWOptions): Optimizer {
  return perParameterOptimizer({
    groups,
    pageable,
    layout: (_, { shape }) => ({ exp_avg: { dtype: 'F32', shape }, exp_avg_sq: { dtype: 'F32', shape } }),
    updateGroup(parameters, settings) {
      const updates = parameters.map(({ param, grad, state }) => {
        return { param, grad, expAvg: state.exp_avg, expAvgSq: state.exp_avg_sq }
      })
      adamWSteps(updates, { ...options, ...settings })
    },
  })
}
