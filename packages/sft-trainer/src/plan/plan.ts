import { canOffload } from '@tunesmith/backend'
import type { SFTConfig } from '../config'
import type { BatchRows } from '../data/batches'

/** Optimizer steps of the whole training. */
export function plannedSteps(stepsPerEpoch: number, { maxSteps, numTrainEpochs }: SFTConfig): number {
  return maxSteps > 0 ? maxSteps : Math.ceil(numTrainEpochs * stepsPerEpoch)
}

/** Steps in which the learning rate rises. */
export function warmupStepsOf(totalSteps: number, { warmupSteps, warmupRatio }: SFTConfig): number {
  if (warmupSteps >= 1) return Math.round(warmupSteps)
  return Math.ceil((warmupSteps || warmupRatio) * totalSteps)
}

/** Tokens of the largest micro-batch that can be drawn. */
export function largestMicroBatch({ rows }: BatchRows, { perDeviceTrainBatchSize }: SFTConfig): number {
  const tokens = rows.map((row) => row.reduce((sum, { inputIds }) => sum + inputIds.length, 0))
  return tokens
    .sort((a, b) => b - a)
    .slice(0, perDeviceTrainBatchSize)
    .reduce((sum, n) => sum + n, 0)
}

/** What the options that move tensors off a device do not do on a backend without one; undefined when all is as they say. */
export function movingNotice(backend: string, { activationOffloading, optim }: SFTConfig): string | undefined {
  const idle = [activationOffloading && 'activationOffloading', optim.startsWith('paged_') && optim].filter(Boolean)
  if (idle.length === 0 || canOffload()) return undefined
  return `${idle.join(' and ')}: the backend "${backend}" computes in the host's memory, where everything is already; results are the same`
}

/** What the precision options mean on a backend, when that is not what they say; undefined otherwise. */
export function precisionNotice(backend: string, { bf16, fp16 }: SFTConfig): string | undefined {
  if (bf16 && backend !== 'cuda')
    return `bf16: the backend "${backend}" computes in float32, which is at least as exact; base weights stay as they were loaded`
  if (fp16)
    return `fp16: the backend "${backend}" does not compute in float16; the loss is scaled dynamically all the same`
  return undefined
}
