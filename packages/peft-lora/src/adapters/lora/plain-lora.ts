import * as tf from '@tensorflow/tfjs-core'
import { unsupported } from '@tunesmith/core'
import type { AdapterLayer } from '../../adapter'
import type { Attached } from '../../attached'
import type { LoraConfig } from './config'
import type { InitialFactors } from './initial-factors'

/** A layer whose beginning was taken out of the base weight. */
export interface LayerWithInitial extends AdapterLayer {
  initial?: InitialFactors
}

/**
 * What PiSSA and OLoRA learned, as a plain LoRA of twice the rank for the untouched base model:
 * `B A - B0 A0 = [B, -B0] [A; A0]`, as PEFT's `path_initial_model_for_weight_conversion` does it.
 *
 * @returns the configuration of that adapter, and its tensors by their keys in the file, which belong to the surrounding
 *   `tf.tidy`.
 * @throws {TunesmithError} `unsupported` for other adapters.
 */
export function plainLora({ adapter, config, layers, copies }: Attached): {
  config: LoraConfig
  tensors: Map<string, tf.Tensor>
} {
  const lora = config as unknown as LoraConfig
  const tensors = new Map<string, tf.Tensor>(copies.map(({ key, variable }) => [key, variable]))
  for (const [module, { layer }] of layers) {
    const { initial } = layer as LayerWithInitial
    if (adapter.peftType !== 'LORA' || !initial || lora.initLoraWeights === 'loftq')
      throw unsupported('Only PiSSA and OLoRA adapters can be saved as plain LoRA', {
        where: module.name,
        remedy: 'Leave asPlainLora out',
      })
    const { 'lora_A.weight': a, 'lora_B.weight': b } = layer.parameters as Record<string, tf.Variable<tf.Rank.R2>>
    const key = `base_model.model.${module.name}`
    tensors.set(`${key}.lora_A.weight`, tf.concat2d([a!, tf.tensor2d(initial.a, a!.shape)], 0))
    tensors.set(`${key}.lora_B.weight`, tf.concat2d([b!, tf.neg(tf.tensor2d(initial.b, b!.shape))], 1))
  }
  const byAlpha = lora.useRslora ? Math.SQRT2 : 2
  const times = (patterns: Record<string, number>, factor: number) =>
    Object.fromEntries(Object.entries(patterns).map(([key, value]) => [key, value * factor]))
  return {
    config: {
      ...lora,
      r: lora.r * 2,
      loraAlpha: lora.loraAlpha * byAlpha,
      rankPattern: times(lora.rankPattern, 2),
      alphaPattern: times(lora.alphaPattern, byAlpha),
      initLoraWeights: true,
    },
    tensors,
  }
}
