import * as tf from '@tensorflow/tfjs-core'
import { loraLinear } from '@tunesmith/backend'
import { invalidOptions, type Random } from '@tunesmith/core'
import type { LinearModule } from '@tunesmith/models'
import type { Adapter, SharedParts } from '../../adapter'
import { targetedModules } from '../../target-modules'
import { variableOf } from '../../variable'
import { dropped, lowRank } from '../lora/linear-layer'
import { type AdaLoraConfig, adaLoraConfigSchema, checkAdaLoraConfig } from './config'
import { type Factors, RankAllocator } from './rank-allocator'
import { withAllRanks, withUsedRanks } from './trimmed-file'

interface AdaLoraShared extends SharedParts {
  allocator: RankAllocator
}

function initialFactors(
  { weight: { inFeatures, outFeatures } }: LinearModule,
  { initR, initLoraWeights }: AdaLoraConfig,
  random: Random,
): Factors {
  const normal = () => (initLoraWeights ? 0.02 : 1) * random.normal()
  return {
    lora_A: variableOf([initR, inFeatures], normal),
    lora_B: variableOf([outFeatures, initR], normal),
    lora_E: variableOf([initR, 1], initLoraWeights ? () => 0 : normal),
  }
}

/** Which ranks a file says are in use; the adapter's name may stand behind the key. */
function usedRanks(name: string, { rankPattern = {}, initR }: AdaLoraConfig): boolean[] {
  const key = Object.keys(rankPattern).find((key) => key.startsWith(`${name}.lora_E`))
  const used = key === undefined ? Array<boolean>(initR).fill(true) : rankPattern[key]!
  if (used.length === initR) return used
  throw invalidOptions(`rankPattern has ${used.length} ranks for ${name} instead of ${initR}`, {
    where: 'ADALORA config',
    remedy: 'Leave rankPattern out for a new adapter; training writes it',
  })
}

/**
 * AdaLoRA (Zhang et al. 2023): the update in the form of a singular value decomposition, `B (E * A)`, whose least important
 * singular values are given up during training until `targetR` are left on average.
 *
 * Ranks that are given up stay in memory as zeros, so that a training can go on after loading; files leave them out, as
 * PEFT's do.
 */
export const adaLora: Adapter<AdaLoraConfig, AdaLoraShared> = {
  peftType: 'ADALORA',
  schema: adaLoraConfigSchema,
  targets(model, config, { loading }) {
    checkAdaLoraConfig(config)
    return targetedModules(model, config, { loading })
  },
  shared(_model, { config }) {
    const allocator = new RankAllocator(config)
    return {
      allocator,
      trainingState: allocator.state,
      ...(config.orthRegWeight > 0 && { loss: () => allocator.penalty() }),
      afterOptimizerStep: (step) => allocator.afterOptimizerStep(step),
      file: {
        write: (variables) => withUsedRanks(variables, allocator),
        read: (stored) => withAllRanks(stored, allocator),
      },
    }
  },
  layer(module, { config, shared, random }) {
    const linear = module as LinearModule
    const factors = initialFactors(linear, config, random)
    shared.allocator.add(module.name, factors, usedRanks(module.name, config))
    const { lora_A: a, lora_B: b, lora_E: e } = factors
    // The division is by the rank it began with, also when ranks have been given up.
    const scaling = config.loraAlpha / (config.initR + 1e-5)
    const tensors = () => ({ a: tf.mul(a, e) as tf.Tensor2D, b, scaling })
    return {
      parameters: { ...factors },
      // The rank that scaling divides by.
      constants: 1,
      forward: (x, below, { training, seed }) =>
        tf.tidy(() => {
          const dropout = training ? config.loraDropout : 0
          if (!below.isModule) return tf.add(below.forward(x), lowRank(dropped(x, dropout, seed), tensors()))
          return loraLinear(x, linear.weight, tensors().a, b, { scaling, dropout, seed }, linear.bias)
        }),
      delta: (x) => tf.tidy(() => lowRank(x, tensors())),
      merge: ({ weight, bias }) => ({
        weight: tf.add(weight, tf.mul(tf.matMul(b, tensors().a), scaling)),
        bias,
      }),
    }
  },
  json: {
    write: ({ deltaT }, _model, { allocator }) => ({
      // Not in snake case in PEFT.
      deltaT,
      delta_t: undefined,
      fan_in_fan_out: false,
      rank_pattern: allocator.rankPattern(),
    }),
    // Older versions of PEFT did without; the schedule matters for training only.
    read: ({ total_step: total, tinit, tfinal }) =>
      typeof total === 'number' ? {} : { totalStep: Number(tinit ?? 0) + Number(tfinal ?? 0) + 1 },
    refused: ['fan_in_fan_out', 'layer_replication', 'target_parameters', 'trainable_token_indices'],
    ignored: ['r', 'alpha_pattern', 'use_rslora', 'megatron_config', 'megatron_core', 'qalora_group_size'],
  },
}
