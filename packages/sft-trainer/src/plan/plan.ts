import type { TrainPlan } from '../callbacks/events'
import type { TrainingConfig } from '../config'
import type { BatchRows } from '../data/batches'
import type { TrainRun } from '../loop/train-run'
import { estimateMemory, type MemoryInputs } from './memory'

/** Optimizer steps of the whole training. */
export function plannedSteps(stepsPerEpoch: number, { maxSteps, numTrainEpochs }: TrainingConfig): number {
  return maxSteps > 0 ? maxSteps : Math.ceil(numTrainEpochs * stepsPerEpoch)
}

/** Steps in which the learning rate rises. */
export function warmupStepsOf(totalSteps: number, { warmupSteps, warmupRatio }: TrainingConfig): number {
  if (warmupSteps >= 1) return Math.round(warmupSteps)
  return Math.ceil((warmupSteps || warmupRatio) * totalSteps)
}

/** Tokens of the largest micro-batch that can be drawn. */
export function largestMicroBatch({ rows }: BatchRows, { perDeviceTrainBatchSize }: TrainingConfig): number {
  const tokens = rows.map((row) => row.reduce((sum, { inputIds }) => sum + inputIds.length, 0))
  return tokens
    .sort((a, b) => b - a)
    .slice(0, perDeviceTrainBatchSize)
    .reduce((sum, n) => sum + n, 0)
}

export function memoryInputs({ model, parameters, config, optimizer }: TrainRun, data: BatchRows): MemoryInputs {
  const tokensPerMicroBatch = largestMicroBatch(data, config)
  return { model, parameters, config, optimizerBytes: optimizer.bytes(), tokensPerMicroBatch }
}

/** What is known before the first step. */
export function trainPlan(
  { config, model, peft, parameters, stream, state, totalSteps }: TrainRun,
  data: BatchRows,
  memory: MemoryInputs,
  resumedFrom: string | undefined,
): TrainPlan {
  return {
    config,
    totalSteps,
    stepsPerEpoch: stream.stepsPerEpoch,
    sequences: data.sequences,
    tokensPerEpoch: data.tokens,
    labelledTokensPerEpoch: data.labelledTokens,
    packingEfficiency: data.efficiency,
    trainableParameters: [...parameters.values()].reduce((sum, { size }) => sum + size, 0),
    allParameters: peft?.parameterCounts().all ?? model.parameterCount(),
    memory: estimateMemory(memory),
    resumedStep: state.globalStep,
    resumedFrom,
  }
}
