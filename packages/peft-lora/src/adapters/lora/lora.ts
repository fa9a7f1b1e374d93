import * as tf from '@tensorflow/tfjs-core'
import type { LinearModule } from '@tunesmith/models'
import type { Adapter } from '../../adapter'
import { targetedModules } from '../../target-modules'
import { checkLoraConfig, type LoraConfig, type LoraConfigOptions, loraConfigSchema, rankAndScaling } from './config'
import { loraLinearLayer } from './linear-layer'

declare module '../../config-types' {
  interface PeftConfigTypes {
    LORA: LoraConfigOptions
  }
}

/** LoRA (Hu et al. 2021) with its variants: rank-stabilised, DoRA, PiSSA, OLoRA, LoftQ. */
export const lora: Adapter<LoraConfig, undefined> = {
  peftType: 'LORA',
  schema: loraConfigSchema,
  targets(model, config) {
    checkLoraConfig(config)
    return targetedModules(model, config, { embeddings: true })
  },
  layer(module, { config, random }) {
    const { r, scaling } = rankAndScaling(module.name, config)
    const { inFeatures, outFeatures } = module.weight
    const bound = 1 / Math.sqrt(inFeatures)
    const draw =
      config.initLoraWeights === 'gaussian' ? () => random.normal() / r : () => (2 * random.uniform() - 1) * bound
    const values = Float32Array.from({ length: r * inFeatures }, draw)
    const [a, b] = tf.tidy(() => [
      tf.variable(tf.tensor2d(values, [r, inFeatures])),
      tf.variable(tf.zeros<tf.Rank.R2>([outFeatures, r])),
    ])
    return loraLinearLayer(module as LinearModule, { a: a!, b: b!, scaling, dropout: config.loraDropout })
  },
  json: {
    write: (config) => ({ fan_in_fan_out: false, loftq_config: config.loftqConfig ?? {} }),
    refused: ['lora_bias', 'fan_in_fan_out', 'layer_replication', 'target_parameters'],
    ignored: ['megatron_config', 'megatron_core', 'qalora_group_size'],
  },
}
