import * as tf from '@tensorflow/tfjs-core'
import { withoutRecording } from '@tunesmith/backend'
import { unsupported } from '@tunesmith/core'
import { type CausalLM, EmbeddingModule } from '@tunesmith/models'
import type { AdaptableModule, Adapter, AdapterLayer, SharedParts } from '../../adapter'
import { targetedModules } from '../../target-modules'
import { checkLoraConfig, type LoraConfig, loraConfigSchema, rankAndScaling } from './config'
import { doraLinearLayer } from './dora-layer'
import { loraEmbeddingLayer } from './embedding-layer'
import { initialEmbeddingFactors, initialFactors, replaceBase } from './initial-factors'
import { type LoraTensors, loraLinearLayer } from './linear-layer'
import type { LayerWithInitial } from './plain-lora'
import { tiedHeadLayer } from './tied-head-layer'

/** Of a tied head and embeddings: one update for both. */
interface TiedUpdate extends SharedParts {
  embeddings?: LoraTensors
}

const isTied = ({ config }: CausalLM, { ensureWeightTying }: LoraConfig): boolean =>
  ensureWeightTying && config.tieWordEmbeddings

/** The layer, of which one variable is not trained. */
function withFrozen(layer: AdapterLayer, variable: tf.Variable): AdapterLayer {
  const entries = Object.entries(layer.parameters)
  const of = (is: boolean) => Object.fromEntries(entries.filter(([, value]) => (value === variable) === is))
  return { ...layer, parameters: of(false), frozen: of(true) }
}

/** LoRA (Hu et al. 2021) with its variants: rank-stabilised, DoRA, PiSSA, OLoRA, LoftQ. */
export const lora: Adapter<LoraConfig, TiedUpdate> = {
  peftType: 'LORA',
  schema: loraConfigSchema,
  targets(model, config, { loading }) {
    const found = targetedModules(model, config, { embeddings: true, loading })
    const pair: readonly AdaptableModule[] = [model.embedTokens, model.lmHead]
    const ties = isTied(model, config) && found.some((module) => pair.includes(module))
    checkLoraConfig(config, ties)
    return ties ? [model.embedTokens, ...found.filter((module) => !pair.includes(module)), model.lmHead] : found
  },
  shared: () => ({}),
  layer(module, { config, model, shared, random, loading }) {
    const sizes = rankAndScaling(module.name, config)
    const frozen = config.initLoraWeights === 'mica'
    if (frozen && !loading)
      throw unsupported('A new adapter cannot begin as "mica"', {
        where: 'initLoraWeights',
        remedy: 'Make it with PEFT and load it, or begin otherwise',
      })
    if (module === model.lmHead && shared.embeddings) return tiedHeadLayer(shared.embeddings)
    const embeds = module instanceof EmbeddingModule
    const factors = (embeds ? initialEmbeddingFactors : initialFactors)(module, config, sizes, random)
    const { inFeatures, outFeatures } = module.weight
    const [columns, rows] = embeds ? [outFeatures, inFeatures] : [inFeatures, outFeatures]
    const [a, b] = withoutRecording(() =>
      tf.tidy(() => [
        tf.variable(tf.tensor2d(factors.a, [sizes.r, columns])),
        tf.variable(tf.tensor2d(factors.b, [rows, sizes.r]), !frozen),
      ]),
    )
    const tensors = { a: a!, b: b!, scaling: sizes.scaling, dropout: config.loraDropout }
    if (embeds && isTied(model, config)) shared.embeddings = tensors
    const layer = embeds
      ? loraEmbeddingLayer(module, tensors, config.useDora)
      : config.useDora
        ? doraLinearLayer(module, tensors)
        : loraLinearLayer(module, tensors)
    if (frozen) return withFrozen(layer, b!)
    if (!factors.residual) return layer
    const changing: LayerWithInitial = { ...layer, initial: factors, undo: replaceBase(module, factors, sizes) }
    return changing
  },
  json: {
    write: ({ loftqConfig }, model) => ({
      fan_in_fan_out: model.storesTransposed(),
      loftq_config: loftqConfig ? { loftq_bits: loftqConfig.loftqBits, loftq_iter: loftqConfig.loftqIter } : {},
    }),
    read: ({ init_lora_weights: init, loftq_config: loftq }) => {
      const { loftq_bits: loftqBits = 4, loftq_iter: loftqIter = 1 } = (loftq ?? {}) as Record<string, unknown>
      const begun = typeof init === 'string' && /^(mica|olora)$/i.test(init) ? init.toLowerCase() : (init ?? true)
      return {
        // Beginnings that leave the base weight as it is no longer matter: the weights are in the file.
        initLoraWeights: begun === 'eva' || begun === 'orthogonal' ? true : begun,
        loftqConfig: init === 'loftq' ? { loftqBits, loftqIter } : undefined,
      }
    },
    refused: [
      ...['lora_bias', 'layer_replication', 'target_parameters', 'alora_invocation_tokens'],
      ...['use_qalora', 'use_bdlora', 'velora_config', 'kasa_config', 'monteclora_config', 'arrow_config'],
    ],
    caution: ({ initLoraWeights: init }) =>
      typeof init === 'string' && init.startsWith('pissa_niter')
        ? `"init_lora_weights": "${init}": PEFT takes the singular vectors out of the base weights by a random search at each load, so that the base is never quite the one that the adapter was trained on. Here it is the converged search. For the numbers of training, save the adapter in PEFT with path_initial_model_for_weight_conversion, as plain LoRA`
        : undefined,
    // PEFT corrects it by what the model's layers are.
    ignored: [
      'fan_in_fan_out',
      'megatron_config',
      'megatron_core',
      'qalora_group_size',
      'eva_config',
      'corda_config',
      'lora_ga_config',
    ],
  },
  // The magnitude is a module in PEFT's memory but not in its files; some versions wrote it as one.
  renameKey: (key) => key.replace(/lora_magnitude_vector\.weight$/, 'lora_magnitude_vector'),
}
