import type { EvalLog } from '../callbacks/events'
import type { SFTConfig } from '../config'
import { type BatchRows, evalBatches } from '../data/batches'
import { evaluateBatch } from './micro-batch'
import type { Objective } from './objective'

export type LossMetrics = Pick<EvalLog, 'evalLoss' | 'evalPerplexity' | 'evalMeanTokenAccuracy' | 'evalEntropy'>

/**
 * Loss and perplexity without gradients. The loss is TRL's: each batch's mean per labelled token, weighted by its rows;
 * accuracy and entropy are plain means over batches.
 *
 * @param stopped asked between batches; true ends the evaluation without a result.
 */
export async function evaluateLoss(
  objective: Objective,
  data: BatchRows,
  config: SFTConfig,
  stopped: () => boolean = () => false,
): Promise<LossMetrics | undefined> {
  let [loss, rows, accuracy, entropy, batches] = [0, 0, 0, 0, 0]
  for (const { batch, rows: inBatch } of evalBatches(data, config.perDeviceEvalBatchSize)) {
    if (stopped()) return undefined
    if (batch.numLabels === 0) continue
    const sums = evaluateBatch(objective, batch)
    loss += (sums.loss / sums.labels) * inBatch
    rows += inBatch
    accuracy += sums.correct / sums.labels
    entropy += sums.entropy / sums.labels
    batches++
    // Signals, servers and progress run in between.
    await new Promise<void>((resolve) => setImmediate(resolve))
  }
  const evalLoss = loss / rows
  return {
    evalLoss,
    evalPerplexity: Math.exp(evalLoss),
    evalMeanTokenAccuracy: accuracy / batches,
    evalEntropy: entropy / batches,
  }
}
