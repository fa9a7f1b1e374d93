import { freemem } from 'node:os'
import type * as tf from '@tensorflow/tfjs-core'
import { canOffload, weightBytes } from '@tunesmith/backend'
import { isTunesmithError, TunesmithError } from '@tunesmith/core'
import type { CausalLM, ModelConfig } from '@tunesmith/models'
import type { MemoryEstimate } from '../callbacks/events'
import type { TrainingConfig } from '../config'

const sum = (values: Iterable<number>) => [...values].reduce((total, value) => total + value, 0)

/** What the machine (or the container) can still give, in bytes. */
function availableMemory(): number {
  const { availableMemory } = process as { availableMemory?: () => number }
  return availableMemory?.() ?? freemem()
}

/**
 * Bytes that one token keeps for the backward pass, and what the backward pass itself adds at its peak. The shape of the
 * formula follows the layers; its factors were fitted to peaks measured on the native backend (see memory.test.ts).
 */
function activationBytesPerToken(
  config: ModelConfig,
  {
    gradientCheckpointing,
    activationOffloading,
  }: Pick<TrainingConfig, 'gradientCheckpointing' | 'activationOffloading'>,
): number {
  const { hiddenSize, intermediateSize, numHiddenLayers, numAttentionHeads, numKeyValueHeads, headDim } = config
  const queries = numAttentionHeads * headDim
  const keysAndValues = 2 * numKeyValueHeads * headDim
  const layer = 6.5 * hiddenSize + 5 * queries + keysAndValues + 3 * intermediateSize
  // Offloaded, the inputs of two blocks are there at once: one in use, one on its way.
  const inputs = activationOffloading && canOffload() ? Math.min(2, numHiddenLayers) : numHiddenLayers
  const kept = gradientCheckpointing ? inputs * hiddenSize + layer : numHiddenLayers * layer
  return 4 * (kept + 4 * hiddenSize + 5 * intermediateSize)
}

export interface MemoryInputs {
  model: CausalLM
  parameters: ReadonlyMap<string, tf.Variable>
  optimizerBytes: number
  /** Tokens of the largest micro-batch. */
  tokensPerMicroBatch: number
  config: TrainingConfig
}

/** An estimate of a step's memory; the README says how close it comes. */
export function estimateMemory(inputs: MemoryInputs): MemoryEstimate {
  const { model, parameters, optimizerBytes, tokensPerMicroBatch, config } = inputs
  const matrices = new Set([...model.linears.values(), model.embedTokens].map(({ weight }) => weight))
  const vectors = [...model.norms.values()].map(({ weight }) => weight)
  const inModel = new Set<tf.Tensor>([...[...matrices].map(({ weight }) => weight), ...vectors])
  const size = (variables: Iterable<tf.Tensor>) => 4 * sum([...variables].map(({ size }) => size))
  const trainable = size(parameters.values())
  const adapter = size([...parameters.values()].filter((variable) => !inModel.has(variable)))
  const weights = sum([...matrices].map(weightBytes)) + size(vectors) + adapter
  const gradients = trainable * (config.gradientAccumulationSteps > 1 ? 2 : 1)
  const activations = tokensPerMicroBatch * activationBytesPerToken(model.config, config)
  return {
    weights,
    gradients,
    optimizer: optimizerBytes,
    activations,
    total: weights + gradients + optimizerBytes + activations,
    available: availableMemory() + weights,
  }
}

const gigabytes = (bytes: number) => `${(bytes / 2 ** 30).toFixed(bytes < 2 ** 30 ? 2 : 1)} GB`

/** The optimizer of the same arithmetic whose states may leave the device. */
const PAGED: Partial<Record<TrainingConfig['optim'], TrainingConfig['optim']>> = {
  adamw: 'paged_adamw_32bit',
  adamw_torch: 'paged_adamw_32bit',
  adamw_torch_fused: 'paged_adamw_32bit',
  adamw_8bit: 'paged_adamw_8bit',
  adamw_bnb_8bit: 'paged_adamw_8bit',
  lion: 'paged_lion_32bit',
  lion_32bit: 'paged_lion_32bit',
}

/** The settings that would bring memory down, and by how much; the ones that do not change the result first. */
export function memoryAdvice(inputs: MemoryInputs): string[] {
  const { config, model, tokensPerMicroBatch } = inputs
  const now = estimateMemory(inputs)
  const advice: string[] = []
  const saved = (changed: Partial<MemoryInputs>) => now.total - estimateMemory({ ...inputs, ...changed }).total
  const batch = config.perDeviceTrainBatchSize
  if (batch > 1) {
    const smaller = Math.max(1, 2 ** Math.floor(Math.log2(batch - 1)))
    const steps = Math.ceil((batch * config.gradientAccumulationSteps) / smaller)
    const bytes = saved({ tokensPerMicroBatch: Math.ceil((tokensPerMicroBatch * smaller) / batch) })
    advice.push(
      `perDeviceTrainBatchSize ${batch} to ${smaller} with gradientAccumulationSteps ${config.gradientAccumulationSteps} to ${steps} (the same updates; saves about ${gigabytes(bytes)})`,
    )
  }
  if (!config.gradientCheckpointing) {
    const bytes = saved({ config: { ...config, gradientCheckpointing: true } })
    advice.push(`gradientCheckpointing true (the same updates, about a third slower; saves about ${gigabytes(bytes)})`)
  }
  if (config.gradientCheckpointing && !config.activationOffloading && canOffload()) {
    const bytes = saved({ config: { ...config, activationOffloading: true } })
    advice.push(`activationOffloading true (the same updates; moves about ${gigabytes(bytes)} to the host)`)
  }
  const paged = PAGED[config.optim]
  if (paged && canOffload() && now.optimizer > 0.01 * now.total)
    advice.push(`optim "${paged}" (the same updates; up to ${gigabytes(now.optimizer)} move to the host when needed)`)
  // 2.06 bytes instead of 8 for each parameter; an adapter's are hardly worth it.
  const inOptimizer = 0.74 * now.optimizer
  if (!/8bit|sgd|adafactor/.test(config.optim) && inOptimizer > 0.01 * now.total)
    advice.push(`optim "adamw_8bit" (saves about ${gigabytes(inOptimizer)})`)
  if (batch === 1 && config.maxLength > 256)
    advice.push(
      `maxLength ${config.maxLength} to ${config.maxLength / 2} (saves about ${gigabytes(now.activations / 2)})`,
    )
  const dense = [...model.linears.values()].some(({ weight }) => weight.format === 'f32' || weight.format === 'bf16')
  const frozen = sum([...inputs.parameters.values()].map(({ size }) => size)) < model.parameterCount() / 2
  if (dense && frozen) advice.push('load the base model in 4 bits (QLoRA)')
  return advice
}

/** What to change when the estimate is above what there is. */
export function memoryNotices(inputs: MemoryInputs): string[] {
  const { total, available, optimizer } = estimateMemory(inputs)
  // Paged states leave for whatever else is needed.
  const movable = inputs.config.optim.startsWith('paged_') && canOffload() ? optimizer : 0
  if (total - movable <= available) return []
  return [
    `a step may need ${gigabytes(total)} of memory, ${gigabytes(available)} are there; if it fails, change ${memoryAdvice(inputs).join(', or ')}`,
  ]
}

/** Says with an out-of-memory error what to change and by how much; other errors pass unchanged. */
export function explainOutOfMemory(error: unknown, inputs: MemoryInputs): unknown {
  const isMemory = isTunesmithError(error)
    ? error.code === 'out_of_memory'
    : error instanceof Error && /out of memory|allocation failed/i.test(error.message)
  if (!isMemory) return error
  const { total, available } = estimateMemory(inputs)
  return new TunesmithError(
    `There is not enough memory for a step: about ${gigabytes(total)} are needed in all, ${gigabytes(available)} are free now`,
    {
      code: 'out_of_memory',
      where: `micro-batches of up to ${inputs.tokensPerMicroBatch} tokens`,
      remedy: `Change ${memoryAdvice(inputs).join(', or ')}`,
      cause: error,
    },
  )
}
