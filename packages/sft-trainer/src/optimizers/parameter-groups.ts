import type * as tf from '@tensorflow/tfjs-core'
import type { ParameterGroup } from './optimizer'

/** transformers' Trainer leaves these without weight decay. */
const NOT_DECAYED = /bias|layernorm|rmsnorm|(?:^|\.)norm(?:$|\.)|_norm(?:$|\.)/

export interface ParameterGroupOptions {
  learningRate: number
  weightDecay: number
  /** LoRA+: how many times as fast the B matrices learn. Default: no LoRA+. */
  loraPlusLrRatio?: number | undefined
  /** LoRA+: the learning rate of LoRA on embeddings. Default 1e-6. */
  loraPlusLrEmbedding?: number | undefined
}

/**
 * Sorts parameters by weight decay, as transformers' Trainer does, and with `loraPlusLrRatio` by learning rate, as PEFT's
 * `create_loraplus_optimizer` does (Hayou et al. 2024): vectors learn like B, LoRA on embeddings at a rate of its own.
 */
export function parameterGroups(
  parameters: ReadonlyMap<string, tf.Variable>,
  { learningRate, weightDecay, loraPlusLrRatio, loraPlusLrEmbedding = 1e-6 }: ParameterGroupOptions,
): ParameterGroup[] {
  const lrScale = (name: string, { shape }: tf.Variable) => {
    if (loraPlusLrRatio === undefined) return 1
    if (/(^|\.)lora_embedding_[AB](\.|$)/.test(name)) return loraPlusLrEmbedding / learningRate
    return name.includes('lora_B') || shape.length === 1 ? loraPlusLrRatio : 1
  }
  const groups = new Map<string, ParameterGroup & { parameters: Map<string, tf.Variable> }>()
  for (const [name, parameter] of parameters) {
    const settings = {
      lrScale: lrScale(name, parameter),
      weightDecay: NOT_DECAYED.test(name.toLowerCase()) ? 0 : weightDecay,
    }
    const key = JSON.stringify(settings)
    const group = groups.get(key) ?? { parameters: new Map(), ...settings }
    group.parameters.set(name, parameter)
    groups.set(key, group)
  }
  return [...groups.values()]
}
