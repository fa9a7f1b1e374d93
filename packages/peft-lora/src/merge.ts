import * as tf from '@tensorflow/tfjs-core'
import { dequantize, disposeWeight, type WeightMatrix, withoutRecording } from '@tunesmith/backend'
import { TunesmithError, unsupported } from '@tunesmith/core'
import { type CausalLM, LinearModule, untieHead } from '@tunesmith/models'
import { z } from 'zod'
import type { AdaptableModule, AdapterLayer } from './adapter'
import { storeWeight } from './store-weight'

export const mergeSchema = z.strictObject({
  /** Which adapters. Default: the active ones. */
  adapters: z.array(z.string()).min(1).optional(),
  /**
   * What merged weights are stored in: `auto` keeps float32, bfloat16 and float16, and turns quantized weights into
   * bfloat16; `float32`, `bfloat16` and `float16` say it; `requantize` brings quantized weights back into their own
   * format. Default `auto`.
   */
  weights: z.enum(['auto', 'float32', 'bfloat16', 'float16', 'requantize']).default('auto'),
})
export type MergeOptions = z.input<typeof mergeSchema>
type Weights = z.output<typeof mergeSchema>['weights']

export interface MergedModule {
  name: string
  /** What the weight was stored in, and what it is stored in now. */
  from: string
  to: string
  /** What storing it lost: norm of the difference over norm of the exact merged weight. */
  relativeError: number
}

/** What merging did. */
export interface MergeReport {
  adapters: string[]
  modules: MergedModule[]
  /** The largest `relativeError` of all modules. */
  worst: number
}

/** The merged weight of a module, or while that is in place, what it stands in the place of. */
export interface MergedWeights {
  module: AdaptableModule
  weight: WeightMatrix
  /** Only where merging changed it, undefined inside where there was none; a bias that an adapter trains is no matter of merging. */
  bias?: { value: tf.Tensor1D | undefined }
}

const FORMATS = { float32: 'f32', bfloat16: 'bf16', float16: 'f16' } as const

function targetFormat(weights: Weights, from: WeightMatrix['format']) {
  if (weights === 'requantize') return from
  if (weights !== 'auto') return FORMATS[weights]
  return from === 'f32' || from === 'f16' ? from : 'bf16'
}

const allFinite = (tensor: tf.Tensor) =>
  tf.tidy(() => (tensor.dataSync() as Float32Array).every((value) => Number.isFinite(value)))

/**
 * Folds stacks of layers into the weights that their modules have now, and hands the merged ones back; no module is changed.
 *
 * @throws {TunesmithError} `unsupported` for a layer that is no change of a weight, `numerical` when a merged weight is
 *   not finite.
 */
export function mergeStacks(
  stacks: ReadonlyMap<AdaptableModule, readonly AdapterLayer[]>,
  weights: Weights,
): { merged: MergedWeights[]; modules: MergedModule[] } {
  const made: { module: AdaptableModule; weight: WeightMatrix; bias: tf.Tensor1D | undefined; report: MergedModule }[] =
    []
  try {
    for (const [module, layers] of stacks) made.push(mergeModule(module, layers, weights))
  } catch (error) {
    for (const { module, weight, bias } of made) {
      disposeWeight(weight)
      if (module instanceof LinearModule && bias !== module.bias) bias?.dispose()
    }
    throw error
  }
  const merged = made.map(({ module, weight, bias }): MergedWeights => {
    const changed = module instanceof LinearModule && module.bias !== bias
    return { module, weight, ...(changed && { bias: { value: bias } }) }
  })
  return { merged, modules: made.map(({ report }) => report) }
}

function mergeModule(module: AdaptableModule, layers: readonly AdapterLayer[], weights: Weights) {
  const { format: from, blockSize, roundTo } = module.weight
  const to = targetFormat(weights, from)
  const bias = module instanceof LinearModule ? module.bias : undefined
  const result = withoutRecording(() =>
    tf.tidy(() => {
      let dense = { weight: tf.clone(dequantize(module.weight)), bias }
      for (const layer of layers) {
        if (!layer.merge)
          throw unsupported('The adapter is no change of a weight and cannot be merged', {
            where: module.name,
            remedy: 'Keep it beside the model',
          })
        dense = layer.merge(dense)
      }
      if (!allFinite(dense.weight) || (dense.bias && !allFinite(dense.bias)))
        throw new TunesmithError('The merged weight has values that are not finite', {
          code: 'numerical',
          where: module.name,
          remedy: 'The adapter is damaged or training diverged; go back to an earlier checkpoint',
        })
      const stored = storeWeight(dense.weight, { format: to, blockSize, roundTo })
      const relativeError = to === 'f32' ? 0 : relativeDifference(dense.weight, dequantize(stored))
      return {
        weight: stored,
        bias: dense.bias && dense.bias !== bias ? tf.keep(tf.clone(dense.bias)) : bias,
        relativeError,
      } as never as tf.TensorContainer
    }),
  ) as unknown as { weight: WeightMatrix; bias: tf.Tensor1D | undefined; relativeError: number }
  const { weight, relativeError } = result
  return { module, weight, bias: result.bias, report: { name: module.name, from, to, relativeError } }
}

/** Exchanges what modules have with what is kept of them: the merged for what was there, or the other way round. */
export function exchangeModules(kept: readonly MergedWeights[]): void {
  for (const entry of kept) {
    const { module, weight, bias } = entry
    entry.weight = module.weight
    module.weight = weight
    if (!(module instanceof LinearModule) || !bias) continue
    const value = module.bias
    module.bias = bias.value
    bias.value = value
  }
}

/** Lets go of merged weights that are not in place. */
export function disposeMerged(merged: readonly MergedWeights[]): void {
  for (const { weight, bias } of merged) {
    disposeWeight(weight)
    bias?.value?.dispose()
  }
}

/** Makes merging final: releases what the merged weights stand in the place of. Of a tied pair, the one that was not merged keeps its own. */
export function letGo(model: CausalLM, originals: readonly MergedWeights[]): void {
  for (const { module, weight, bias } of originals) {
    if ([model.embedTokens, model.lmHead].some((other) => other !== module && other.weight === weight))
      untieHead(model.config)
    else disposeWeight(weight)
    bias?.value?.dispose()
  }
}

/** Norm of the difference over norm of `exact`. */
export function relativeDifference(exact: tf.Tensor, other: tf.Tensor): number {
  return tf.tidy(() => {
    const norm = (tensor: tf.Tensor) => Math.sqrt(tf.sum(tf.square(tensor)).dataSync()[0]!)
    const size = norm(exact)
    return size === 0 ? 0 : norm(tf.sub(exact, other)) / size
  })
}
