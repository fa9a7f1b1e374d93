import * as tf from '@tensorflow/tfjs-core'
import { withoutRecording } from '@tunesmith/backend'
import { EmbeddingModule } from '@tunesmith/models'
import type { Adapter } from '../../adapter'
import { targetedModules } from '../../target-modules'
import { checkLoraConfig, type LoraConfig, loraConfigSchema, rankAndScaling } from './config'
import { doraLinearLayer } from './dora-layer'
import { loraEmbeddingLayer } from './embedding-layer'
import { initialEmbeddingFactors, initialFactors, replaceBase } from './initial-factors'
import { loraLinearLayer } from './linear-layer'
import type { LayerWithInitial } from './plain-lora'

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
    if (!factors.residual) return layer
    const changing: LayerWithInitial = { ...layer, initial: factors, undo: replaceBase(module, factors, sizes) }
    return changing
  },
  json: {
    write: ({ loftqConfig }) => ({
      fan_in_fan_out: false,
      loftq_config: loftqConfig ? { loftq_bits: loftqConfig.loftqBits, loftq_iter: loftqConfig.loftqIter } : {},
    }),
    read: ({ init_lora_weights: init, loftq_config: loftq }) => {
      const { loftq_bits: loftqBits = 4, loftq_iter: loftqIter = 1 } = (loftq ?? {}) as Record<string, unknown>
      return {
        // Other beginnings that leave the base weight as it is no longer matter: the weights are in the file.
        initLoraWeights:
          typeof init === 'string' && !/^(gaussian|pissa|olora|loftq|corda|lora_ga)/.test(init) ? true : (init ?? true),
        loftqConfig: init === 'loftq' ? { loftqBits, loftqIter } : undefined,
      }
    },
    refused: [
      ...['lora_bias', 'fan_in_fan_out', 'layer_replication', 'target_parameters', 'alora_invocation_tokens'],
      ...['use_qalora', 'use_bdlora', 'velora_config', 'kasa_config', 'monteclora_config', 'arrow_config'],
    ],
    ignored: ['megatron_config', 'megatron_core', 'qalora_group_size', 'eva_config', 'corda_config', 'lora_ga_config'],
  },
  // The magnitude is a module in PEFT's memory but not in its files; some versions wrote it as one.
  renameKey: (key) => key.replace(/lora_magnitude_vector\.weight$/, 'lora_magnitude_vector'),
}
