import * as tf from '@tensorflow/tfjs-core'
import { invalidOptions, type Random } from '@tunesmith/core'
import type { LinearModule } from '@tunesmith/models'
import { z } from 'zod'
import type { Adapter } from '../adapter'
import { uniform, variableOf } from '../variable'
import { dropped } from './lora/linear-layer'

/** Names and defaults of the `adapters` library's DoubleSeqBnConfig, its name for the adapters of Houlsby et al. */
export const bottleneckConfigSchema = z.strictObject({
  peftType: z.literal('BOTTLENECK'),
  /** An adapter after the attention of each layer. Default true. */
  mhAdapter: z.boolean().default(true),
  /** An adapter after the feed-forward part of each layer. Default true. */
  outputAdapter: z.boolean().default(true),
  /** Hidden size over bottleneck size. Default 16. */
  reductionFactor: z.number().positive().default(16),
  /** Between the two projections. Default `swish`. */
  nonLinearity: z.enum(['swish', 'relu', 'gelu', 'tanh']).default('swish'),
  /** Factor of what the bottleneck adds. Default 1. */
  scaling: z.number().default(1),
  /** Probability of dropping an element of what the bottleneck adds, during training. Default 0. */
  dropout: z.number().min(0).lt(1).default(0),
  /**
   * `bert`: all weights normal with standard deviation 0.02; `houlsby`: 0.01, cut off at twice that; `mam_adapter`:
   * Kaiming uniform down and zero up, so that nothing changes before training. Biases are zero. Default `bert`.
   */
  initWeights: z.enum(['bert', 'houlsby', 'mam_adapter']).default('bert'),
  /** Decoder layers without adapters. Default none. */
  leaveOut: z.array(z.number().int().nonnegative()).default([]),
})
/** What a caller may write. */
export type BottleneckConfigOptions = z.input<typeof bottleneckConfigSchema>
/** With defaults filled in. */
export type BottleneckConfig = z.output<typeof bottleneckConfigSchema>

const ACTIVATIONS: Record<BottleneckConfig['nonLinearity'], (x: tf.Tensor2D) => tf.Tensor2D> = {
  swish: (x) => tf.mul(x, tf.sigmoid(x)),
  relu: (x) => tf.relu(x),
  gelu: (x) => tf.mul(tf.mul(x, 0.5), tf.add(tf.erf(tf.mul(x, Math.SQRT1_2)), 1)),
  tanh: (x) => tf.tanh(x),
}

/** A normal deviate, drawn again while it is further out than `limit` standard deviations. */
function truncatedNormal(random: Random, limit: number): number {
  for (;;) {
    const value = random.normal()
    if (Math.abs(value) <= limit) return value
  }
}

function initial(
  part: 'down' | 'up',
  shape: [number, number],
  method: BottleneckConfig['initWeights'],
  random: Random,
): tf.Variable<tf.Rank.R2> {
  const draw = {
    bert: () => 0.02 * random.normal(),
    houlsby: () => 0.01 * truncatedNormal(random, 2),
    mam_adapter: part === 'up' ? () => 0 : uniform(random, 1 / Math.sqrt(shape[1])),
  }[method]
  return variableOf(shape, draw)
}

/**
 * Bottleneck adapters (Houlsby et al. 2019): behind the attention and behind the feed-forward part of each layer,
 * `y + scaling * (up(act(down(y))))`, before the residual is added.
 */
export const bottleneck: Adapter<BottleneckConfig, undefined> = {
  peftType: 'BOTTLENECK',
  schema: bottleneckConfigSchema,
  targets(model, { mhAdapter, outputAdapter, leaveOut }) {
    const ends = [...(mhAdapter ? ['.self_attn.o_proj'] : []), ...(outputAdapter ? ['.mlp.down_proj'] : [])]
    const found = model.decoderLinears().filter(({ name }) => {
      const layer = Number(/\.layers\.(\d+)\./.exec(name)?.[1])
      return ends.some((end) => name.endsWith(end)) && !leaveOut.includes(layer)
    })
    if (found.length > 0) return found
    throw invalidOptions('The configuration leaves no place for an adapter', {
      where: 'BOTTLENECK config',
      remedy: 'Set mhAdapter or outputAdapter, and leave fewer layers out',
    })
  },
  layer(module, { config, random }) {
    const { outFeatures: hidden } = (module as LinearModule).weight
    const size = Math.max(1, Math.floor(hidden / config.reductionFactor))
    const zeros = (length: number) => variableOf<tf.Rank.R1>([length], () => 0)
    const down = { weight: initial('down', [size, hidden], config.initWeights, random), bias: zeros(size) }
    const up = { weight: initial('up', [hidden, size], config.initWeights, random), bias: zeros(hidden) }
    const project = (x: tf.Tensor2D, { weight, bias }: typeof down): tf.Tensor2D =>
      tf.add(tf.matMul(x, weight, false, true), bias)
    return {
      parameters: {
        'adapter_down.weight': down.weight,
        'adapter_down.bias': down.bias,
        'adapter_up.weight': up.weight,
        'adapter_up.bias': up.bias,
      },
      forward: (x, below, { training, seed }) =>
        tf.tidy(() => {
          const y = below.forward(x)
          const added = project(ACTIVATIONS[config.nonLinearity](project(y, down)), up)
          return tf.add(y, dropped(tf.mul(added, config.scaling), training ? config.dropout : 0, seed))
        }),
    }
  },
}
