import type { TrainingConfig } from '../config'
import { type BatchRows, evalBatches, type TrainBatch } from '../data/batches'
import { evaluateBatch } from './micro-batch'
import type { LossMetrics, MicroObjective, MicroSums } from './objective'

/**
 * What the objective says of all batches, without gradients.
 *
 * @param stopped asked between batches; true ends the evaluation without a result.
 */
export async function evaluateLoss(
  objective: MicroObjective<TrainBatch>,
  data: BatchRows,
  config: Pick<TrainingConfig, 'perDeviceEvalBatchSize'>,
  stopped: () => boolean = () => false,
): Promise<LossMetrics | undefined> {
  const batches: { sums: MicroSums; rows: number }[] = []
  for (const { batch, rows } of evalBatches(data, config.perDeviceEvalBatchSize)) {
    if (stopped()) return undefined
    if (objective.items(batch) === 0) continue
    await objective.before?.(batch)
    batches.push({ sums: evaluateBatch(objective, batch), rows })
    // Signals, servers and progress run in between.
    await new Promise<void>((resolve) => setImmediate(resolve))
  }
  return objective.evaluation(batches)
}
