import type { EvalLog } from '../callbacks/events'
import type { SFTConfig } from '../config'
import { type BatchRows, evalBatches } from '../data/batches'
import { evaluateBatch } from './micro-batch'
import type { Objective } from './objective'

export type LossMetrics = Pick<
  EvalLog,
  'evalLoss' | 'evalPerplexity' | 'evalMeanTokenAccuracy' | 'evalEntropy' | 'evalLossOfBatches'
>

/**
 * Loss, perplexity, accuracy and entropy without gradients, each the mean over all labelled tokens, whatever the batch size.
 * `evalLossOfBatches` is what transformers and TRL call `eval_loss`: the mean of the batches' means, each weighted by its rows.
 *
 * @param stopped asked between batches; true ends the evaluation without a result.
 */
export async function evaluateLoss(
  objective: Objective,
  data: BatchRows,
  config: SFTConfig,
  stopped: () => boolean = () => false,
): Promise<LossMetrics | undefined> {
  const total = { loss: 0, labels: 0, correct: 0, entropy: 0 }
  let [batchMeans, rows] = [0, 0]
  for (const { batch, rows: inBatch } of evalBatches(data, config.perDeviceEvalBatchSize)) {
    if (stopped()) return undefined
    if (batch.numLabels === 0) continue
    const sums = evaluateBatch(objective, batch)
    for (const key of ['loss', 'labels', 'correct', 'entropy'] as const) total[key] += sums[key]
    batchMeans += (sums.loss / sums.labels) * inBatch
    rows += inBatch
    // Signals, servers and progress run in between.
    await new Promise<void>((resolve) => setImmediate(resolve))
  }
  const evalLoss = total.loss / total.labels
  return {
    evalLoss,
    evalPerplexity: Math.exp(evalLoss),
    evalMeanTokenAccuracy: total.correct / total.labels,
    evalEntropy: total.entropy / total.labels,
    evalLossOfBatches: batchMeans / rows,
  }
}
