import * as tf from '@tensorflow/tfjs-core'
import { withoutRecording } from '@tunesmith/backend'
import { EmbeddingModule } from '@tunesmith/models'
import type { Adapter } from '../../adapter'
import { targetedModules } from '../../target-modules'
import { checkLoraConfig, type LoraConfig, type LoraConfigOptions, loraConfigSchema, rankAndScaling } from './config'
import { doraLinearLayer } from './dora-layer'
import { loraEmbeddingLayer } from './embedding-layer'
import { initialEmbeddingFactors, initialFactors, replaceBase } from './initial-factors'
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
    const sizes = rankAndScaling(module.name, config)
    const embeds = module instanceof EmbeddingModule
    const factors = (embeds ? initialEmbeddingFactors : initialFactors)(module, config, sizes, random)
    const { inFeatures, outFeatures } = module.weight
    const [columns, rows] = embeds ? [outFeatures, inFeatures] : [inFeatures, outFeatures]
    const [a, b] = withoutRecording(() =>
      tf.tidy(() => [
        tf.variable(tf.tensor2d(factors.a, [sizes.r, columns])),
        tf.variable(tf.tensor2d(factors.b, [rows, sizes.r])),
      ]),
    )
    const tensors = { a: a!, b: b!, scaling: sizes.scaling, dropout: config.loraDropout }
    if (embeds) return loraEmbeddingLayer(module, tensors, config.useDora)
    if (config.useDora) return doraLinearLayer(module, tensors)
    const layer = loraLinearLayer(module, tensors)
    return factors.residual ? { ...layer, initial: factors, undo: replaceBase(module, factors, sizes) } : layer
  },
  json: {
    write: (config) => ({ fan_in_fan_out: false, loftq_config: config.loftqConfig ?? {} }),
    refused: ['lora_bias', 'fan_in_fan_out', 'layer_replication', 'target_parameters'],
    ignored: ['megatron_config', 'megatron_core', 'qalora_group_size'],
  },
}
