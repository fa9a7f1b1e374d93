import { freemem } from 'node:os'
import type * as tf from '@tensorflow/tfjs-core'
import { type WeightMatrix, weightBytes } from '@tunesmith/backend'
import { isTunesmithError, TunesmithError } from '@tunesmith/core'
import type { CausalLM, ModelConfig } from '@tunesmith/models'
import type { SFTConfig } from './config'
import type { MemoryEstimate } from './events'

const sum = (values: Iterable<number>) => [...values].reduce((total, value) => total + value, 0)

/** What the machine (or the container) can still give, in bytes. */
function availableMemory(): number {
  const { availableMemory } = process as { availableMemory?: () => number }
  return availableMemory?.() ?? freemem()
}

/**
 * Bytes kept for the backward pass by one token, from the layers' shapes: the inputs of norms, projections, rotary
 * embedding, attention and gated MLP, and each projection's output until the next operation.
 */
function activationBytesPerToken(config: ModelConfig, gradientCheckpointing: boolean): number {
  const { hiddenSize, intermediateSize, numHiddenLayers, numAttentionHeads, numKeyValueHeads, headDim } = config
  const queries = numAttentionHeads * headDim
  const keysAndValues = 2 * numKeyValueHeads * headDim
  const layer = 4 * hiddenSize + 3 * queries + 2 * keysAndValues + 3 * intermediateSize
  const kept = gradientCheckpointing ? numHiddenLayers * hiddenSize + layer : numHiddenLayers * layer
  return 4 * (kept + 4 * hiddenSize)
}

export interface MemoryInputs {
  model: CausalLM
  parameters: ReadonlyMap<string, tf.Variable>
  optimizerBytes: number
  /** Tokens of the largest micro-batch. */
  tokensPerMicroBatch: number
  config: SFTConfig
}

/** An estimate of a step's memory; the README says how close it comes. */
export function estimateMemory(inputs: MemoryInputs): MemoryEstimate {
  const { model, parameters, optimizerBytes, tokensPerMicroBatch, config } = inputs
  const matrices = new Set<WeightMatrix>([
    model.embedTokens.weight,
    ...[...model.linears.values()].map((m) => m.weight),
  ])
  const vectors = [...model.norms.values()].map(({ weight }) => 4 * weight.size)
  const inModel = sum([...matrices].map(weightBytes)) + sum(vectors)
  const trainable = 4 * sum([...parameters.values()].map(({ size }) => size))
  const weights = inModel + (config.trainableModules || model.trainables.size === 0 ? 0 : trainable)
  const gradients = trainable * (config.gradientAccumulationSteps > 1 ? 2 : 1)
  const activations = tokensPerMicroBatch * activationBytesPerToken(model.config, config.gradientCheckpointing)
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
  if (!/8bit|sgd|adafactor/.test(config.optim) && now.optimizer > 0)
    advice.push(`optim "adamw_8bit" (saves about ${gigabytes(now.optimizer * 0.73)})`)
  if (batch === 1 && config.maxLength > 256)
    advice.push(
      `maxLength ${config.maxLength} to ${config.maxLength / 2} (saves about ${gigabytes(now.activations / 2)})`,
    )
  const dense = [...model.linears.values()].some(({ weight }) => weight.format === 'f32' || weight.format === 'bf16')
  if (dense && config.trainableModules === undefined && inputs.parameters.size < model.linears.size * 3)
    advice.push('load the base model in 4 bits (QLoRA)')
  return advice
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
