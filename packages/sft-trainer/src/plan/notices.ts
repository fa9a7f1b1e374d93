import { canOffload, currentBackend } from '@tunesmith/backend'
import type { Tokenizer } from '@tunesmith/tokenization'
import type { TrainingConfig } from '../config'
import type { BatchRows } from '../data/batches'
import type { Prepared } from '../loop/objective'
import { type MemoryInputs, memoryNotices } from './memory'

/** What a person should know about the data before it is trained on. */
function dataNotices({ rows }: BatchRows, config: TrainingConfig): string[] {
  const perStep = config.perDeviceTrainBatchSize * config.gradientAccumulationSteps
  if (rows.length >= perStep || config.dataloaderDropLast) return []
  const unit = config.packing ? 'packed rows' : 'rows'
  return [
    `there are ${rows.length} ${unit}, fewer than the ${perStep} of a step (perDeviceTrainBatchSize x gradientAccumulationSteps): every step sees all of them`,
  ]
}

/** What the options that move tensors off a device do not do on a backend without one; undefined when all is as they say. */
function movingNotice(backend: string, { activationOffloading, optim }: TrainingConfig): string | undefined {
  const idle = [activationOffloading && 'activationOffloading', optim.startsWith('paged_') && optim].filter(Boolean)
  if (idle.length === 0 || canOffload()) return undefined
  return `${idle.join(' and ')}: the backend "${backend}" computes in the host's memory, where everything is already; results are the same`
}

/** What the precision options mean on a backend, when that is not what they say; undefined otherwise. */
function precisionNotice(backend: string, { bf16, fp16 }: TrainingConfig): string | undefined {
  if (bf16 && backend !== 'cuda')
    return `bf16: the backend "${backend}" computes in float32, which is at least as exact; base weights stay as they were loaded`
  if (fp16)
    return `fp16: the backend "${backend}" does not compute in float16; the loss is scaled dynamically all the same`
  return undefined
}

/** What ends a turn of a conversation, where that is not the tokenizer's EOS token alone. */
function turnNotice(tokenizer: Tokenizer): string | undefined {
  const { tokens } = tokenizer.endOfTurn()
  const { eosToken } = tokenizer
  if (tokens.every((token) => token === eosToken)) return undefined
  const missing = tokens.filter((token) => tokenizer.tokenToId(token) === undefined)
  const unknown = missing.length > 0 ? `; the vocabulary does not have ${missing.join(', ')}` : ''
  return `the chat template ends a turn with ${tokens.join(' or ')}, the tokenizer's EOS token is ${eosToken ?? 'not set'}: answers end at any of them${unknown}`
}

/** What a person should know before the first step. */
export function startNotices(
  { data, notices, conversations }: Prepared,
  memory: MemoryInputs,
  tokenizer: Tokenizer | undefined,
): Prepared['notices'] {
  const backend = currentBackend()?.name ?? 'unknown'
  const others = [
    conversations && tokenizer ? turnNotice(tokenizer) : undefined,
    ...dataNotices(data, memory.config),
    ...memoryNotices(memory),
    precisionNotice(backend, memory.config),
    movingNotice(backend, memory.config),
  ].filter((line) => line !== undefined)
  return [...notices, ...others.map((message) => ({ message, level: 'info' as const }))]
}
