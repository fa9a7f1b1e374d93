import { snakeCase } from '@tunesmith/core'
import type { EvalLog, TrainLog } from '../callbacks/events'

/**
 * The numbers of a log under the names transformers' integrations give them, so that our runs and Python's share charts:
 * `train/grad_norm`, `train/epoch`, `eval/loss`, `eval/rouge_l`.
 */
export function reportedMetrics(log: TrainLog | EvalLog): Record<string, number> {
  const isEval = 'evalLoss' in log
  const metrics: Record<string, number> = {}
  for (const [key, value] of Object.entries(log)) {
    if (key === 'step' || typeof value !== 'number') continue
    // An evaluation's epoch is the training's.
    const name = snakeCase(key)
    metrics[isEval && name.startsWith('eval_') ? `eval/${name.slice(5)}` : `train/${name}`] = value
  }
  return metrics
}
