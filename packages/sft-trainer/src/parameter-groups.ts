import type * as tf from '@tensorflow/tfjs-core'
import type { SFTConfig } from './config'
import type { ParameterGroup } from './optimizers'

/** transformers' `get_decay_parameter_names` leaves these without weight decay. */
const NOT_DECAYED = /bias|layernorm|rmsnorm|(?:^|\.)norm(?:$|\.)|_norm(?:$|\.)/

/** What PEFT's `create_loraplus_optimizer` gives adapters of embeddings. */
const LORA_PLUS_EMBEDDING_LR = 1e-6

/** The factor on a parameter's learning rate, by PEFT's `create_loraplus_optimizer`. */
function lrScaleOf(name: string, { rank }: tf.Variable, { learningRate, loraPlusLrRatio }: SFTConfig): number {
  if (loraPlusLrRatio === undefined) return 1
  if (name.includes('lora_embedding_')) return LORA_PLUS_EMBEDDING_LR / learningRate
  return name.includes('lora_B') || rank === 1 ? loraPlusLrRatio : 1
}

/** Sorts parameters by weight decay and, for LoRA+, by learning rate. */
export function parameterGroups(parameters: ReadonlyMap<string, tf.Variable>, config: SFTConfig): ParameterGroup[] {
  const groups = new Map<string, ParameterGroup & { parameters: Map<string, tf.Variable> }>()
  for (const [name, parameter] of parameters) {
    const lrScale = lrScaleOf(name, parameter, config)
    const weightDecay = NOT_DECAYED.test(name.toLowerCase()) ? 0 : config.weightDecay
    const key = `${lrScale} ${weightDecay}`
    const group = groups.get(key) ?? { parameters: new Map(), lrScale, weightDecay }
    group.parameters.set(name, parameter)
    groups.set(key, group)
  }
  return [...groups.values()]
}
