import { AdamW } from './adamw'
import type { Optimizer, ParameterGroup } from './optimizer'

export type { Optimizer, ParameterGroup } from './optimizer'

export const OPTIMIZERS = ['adamw'] as const
export type OptimizerName = (typeof OPTIMIZERS)[number]

export interface OptimizerOptions {
  beta1: number
  beta2: number
  eps: number
  /** TrainingArguments' `optim_args`, in camelCase. */
  args: Record<string, unknown>
}

export function createOptimizer(
  _name: OptimizerName,
  groups: readonly ParameterGroup[],
  { beta1, beta2, eps }: OptimizerOptions,
): Optimizer {
  return new AdamW(groups, { beta1, beta2, eps })
}
