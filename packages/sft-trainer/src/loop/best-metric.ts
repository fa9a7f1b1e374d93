import { camelCase, invalidOptions } from '@tunesmith/core'
import type { EvalLog } from '../callbacks/events'
import type { TrainingConfig } from '../config'

type MetricConfig = Pick<TrainingConfig, 'metricForBestModel' | 'greaterIsBetter'>

/** `eval_rouge_l`, `rougeL` and `evalRougeL` mean the same. */
export function metricKey(name: string): string {
  const camel = camelCase(name)
  return /^eval[A-Z]/.test(camel) ? camel : `eval${camel[0]!.toUpperCase()}${camel.slice(1)}`
}

/** Losses and perplexities are better when smaller, everything else when greater. */
export function greaterIsBetter({ metricForBestModel, greaterIsBetter }: MetricConfig): boolean {
  return greaterIsBetter ?? !/(loss|perplexity)$/i.test(metricForBestModel)
}

/** @throws {TunesmithError} `invalid_options` when the evaluation has no such metric. */
export function metricValue(log: EvalLog, { metricForBestModel }: MetricConfig): number {
  const value = log[metricKey(metricForBestModel)]
  if (value !== undefined) return value
  throw invalidOptions(`The evaluation has no metric "${metricForBestModel}"`, {
    where: 'metricForBestModel',
    remedy: `It has ${Object.keys(log)
      .filter((key) => key.startsWith('eval'))
      .join(', ')}`,
  })
}

export function isBetter(value: number, best: number | undefined, config: MetricConfig): boolean {
  if (best === undefined) return Number.isFinite(value)
  return greaterIsBetter(config) ? value > best : value < best
}
