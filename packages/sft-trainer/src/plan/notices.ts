import { canOffload, currentBackend } from '@tunesmith/backend'
import type { SFTConfig } from '../config'
import type { BatchRows } from '../data/batches'
import type { PreparedData } from '../data/prepare'
import { type MemoryInputs, memoryNotices } from './memory'

/** What a person should know about the data before it is trained on. */
function dataNotices({ rows }: BatchRows, config: SFTConfig): string[] {
  const perStep = config.perDeviceTrainBatchSize * config.gradientAccumulationSteps
  if (rows.length >= perStep || config.dataloaderDropLast) return []
  const unit = config.packing ? 'packed rows' : 'rows'
  return [
    `there are ${rows.length} ${unit}, fewer than the ${perStep} of a step (perDeviceTrainBatchSize x gradientAccumulationSteps): every step sees all of them`,
  ]
}

/** What the options that move tensors off a device do not do on a backend without one; undefined when all is as they say. */
function movingNotice(backend: string, { activationOffloading, optim }: SFTConfig): string | undefined {
  const idle = [activationOffloading && 'activationOffloading', optim.startsWith('paged_') && optim].filter(Boolean)
  if (idle.length === 0 || canOffload()) return undefined
  return `${idle.join(' and ')}: the backend "${backend}" computes in the host's memory, where everything is already; results are the same`
}

/** What the precision options mean on a backend, when that is not what they say; undefined otherwise. */
function precisionNotice(backend: string, { bf16, fp16 }: SFTConfig): string | undefined {
  if (bf16 && backend !== 'cuda')
    return `bf16: the backend "${backend}" computes in float32, which is at least as exact; base weights stay as they were loaded`
  if (fp16)
    return `fp16: the backend "${backend}" does not compute in float16; the loss is scaled dynamically all the same`
  return undefined
}

/** What a person should know before the first step. */
export function startNotices(prepared: PreparedData, data: BatchRows, memory: MemoryInputs): string[] {
  const backend = currentBackend()?.name ?? 'unknown'
  return [
    prepared.truncated + prepared.dropped > 0 ? prepared.lengths : undefined,
    ...dataNotices(data, memory.config),
    ...memoryNotices(memory),
    precisionNotice(backend, memory.config),
    movingNotice(backend, memory.config),
  ].filter((line) => line !== undefined)
}
