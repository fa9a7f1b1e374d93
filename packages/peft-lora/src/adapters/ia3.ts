import * as tf from '@tensorflow/tfjs-core'
import { invalidOptions } from '@tunesmith/core'
import type { CausalLM, LinearModule } from '@tunesmith/models'
import { z } from 'zod'
import type { Adapter } from '../adapter'
import { matchesModule, queryAndValue, targetedModules, targetOptions } from '../target-modules'
import { modulesToSaveOption } from '../trained-copies'
import { variableOf } from '../variable'

export const ia3ConfigSchema = z.strictObject({
  peftType: z.literal('IA3'),
  targetModules: targetOptions.targetModules,
  excludeModules: targetOptions.excludeModules,
  /**
   * Those of the targets whose input is scaled instead of their output: endings of names, or one regular expression over
   * whole names. Default `down_proj`.
   */
  feedforwardModules: z.union([z.string(), z.array(z.string())]).optional(),
  modulesToSave: modulesToSaveOption.modulesToSave,
  /** Whether scales begin as ones. false: normal deviates, for tests. Default true. */
  initIa3Weights: z.boolean().default(true),
})
/** What a caller may write. */
export type Ia3ConfigOptions = z.input<typeof ia3ConfigSchema>
/** With defaults filled in. */
export type Ia3Config = z.output<typeof ia3ConfigSchema>

/** Model types for which PEFT's defaults scale keys; for all others it scales queries. */
const SCALES_KEYS = ['llama', 'mistral']

function defaultTargets(model: CausalLM): string[] {
  const [query, ...others] = queryAndValue(model)
  const scaled = query === 'q_proj' && SCALES_KEYS.includes(model.config.modelType) ? 'k_proj' : query!
  return [scaled, ...others, ...feedforwardDefault(model)]
}

/** The last layer of the feed-forward part, by the names that families give it. */
function feedforwardDefault(model: CausalLM): string[] {
  const names = ['down_proj', 'dense_4h_to_h', 'mlp.c_proj']
  return names.filter((ending) => model.decoderLinears().some(({ name }) => name.endsWith(ending))).slice(0, 1)
}

const feedforwardOf = ({ feedforwardModules }: Ia3Config, model: CausalLM) =>
  feedforwardModules ?? feedforwardDefault(model)

/** Unlike `targetModules`, a list matches any end of a name, as in PEFT. */
function isFeedforward(name: string, config: Ia3Config, model: CausalLM): boolean {
  const modules = feedforwardOf(config, model)
  return typeof modules === 'string' ? matchesModule(name, modules) : modules.some((ending) => name.endsWith(ending))
}

function checkConfig({ targetModules, feedforwardModules }: Ia3Config): void {
  if (!Array.isArray(targetModules) || !Array.isArray(feedforwardModules)) return
  const extra = feedforwardModules.filter((module) => !targetModules.includes(module))
  if (extra.length > 0)
    throw invalidOptions(`feedforwardModules names ${extra.join(', ')}, which targetModules does not`, {
      where: 'IA3 config',
      remedy: 'Name them in targetModules too',
    })
}

/** IA3 (Liu et al. 2022): one trained factor per output of a linear layer, or per input of a feed-forward one. */
export const ia3: Adapter<Ia3Config, undefined> = {
  peftType: 'IA3',
  schema: ia3ConfigSchema,
  defaultTargets,
  targets(model, config, { loading }) {
    checkConfig(config)
    return targetedModules(model, config, { defaultTargets, loading })
  },
  layer(module, { config, model, random }) {
    const { inFeatures, outFeatures } = (module as LinearModule).weight
    const onInput = isFeedforward(module.name, config, model)
    const size = onInput ? inFeatures : outFeatures
    const scale = variableOf(onInput ? [1, size] : [size, 1], () => (config.initIa3Weights ? 1 : random.normal()))
    const row = () => tf.reshape(scale, [1, size]) as tf.Tensor2D
    return {
      parameters: { ia3_l: scale },
      forward: (x, below) =>
        tf.tidy(() => (onInput ? below.forward(tf.mul(x, row())) : tf.mul(below.forward(x), row()))),
      merge: ({ weight, bias }) => ({
        weight: tf.mul(weight, scale),
        bias: bias && !onInput ? (tf.mul(bias, tf.reshape(scale, [size])) as tf.Tensor1D) : bias,
      }),
    }
  },
  json: {
    write: (config, model) => ({
      fan_in_fan_out: model.storesTransposed(),
      feedforward_modules: feedforwardOf(config, model),
    }),
    ignored: ['fan_in_fan_out'],
  },
}
