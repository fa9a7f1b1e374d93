import * as tf from '@tensorflow/tfjs-core'
import { dequantize, linear, loraLinear } from '@tunesmith/backend'
import { Random } from '@tunesmith/core'
import type { LinearModule } from '@tunesmith/models'
import type { LoraConfig } from './lora-config'
import { patternValue } from './target-modules'

/** What the adapters of a model share from step to step. */
export interface AdapterState {
  /** Whether dropout is on. */
  training: boolean
  /** Changes with every micro-batch; the dropout masks follow from it. */
  seed: number
  enabled: boolean
}

/**
 * The low-rank update of one linear layer (Hu et al. 2021): `scaling * B A`, with A `[r, in]` and B `[out, r]`.
 */
export class LoraLayer {
  readonly scaling: number
  readonly #dropout: number
  readonly #module: LinearModule
  /** Sets this layer's dropout masks apart from the others'. */
  readonly #index: number
  /** PEFT's key parts. */
  readonly parameters: { 'lora_A.weight': tf.Variable<tf.Rank.R2>; 'lora_B.weight': tf.Variable<tf.Rank.R2> }

  constructor(module: LinearModule, config: LoraConfig, seed: number, index: number) {
    const r = patternValue(module.name, config.rankPattern, config.r)
    const alpha = patternValue(module.name, config.alphaPattern, config.loraAlpha)
    const { inFeatures, outFeatures } = module.weight
    this.#module = module
    this.#index = index
    this.scaling = config.useRslora ? alpha / Math.sqrt(r) : alpha / r
    this.#dropout = config.loraDropout
    const random = new Random(seed, module.name)
    const bound = 1 / Math.sqrt(inFeatures)
    const draw =
      config.initLoraWeights === 'gaussian' ? () => random.normal() / r : () => (2 * random.uniform() - 1) * bound
    const a = Float32Array.from({ length: r * inFeatures }, draw)
    this.parameters = tf.tidy(() => ({
      'lora_A.weight': tf.variable(tf.tensor2d(a, [r, inFeatures])),
      'lora_B.weight': tf.variable(tf.zeros<tf.Rank.R2>([outFeatures, r])),
    }))
  }

  /** x `[tokens, in]` to `[tokens, out]`, base and update in one kernel. */
  forward(x: tf.Tensor2D, { training, seed, enabled }: AdapterState): tf.Tensor2D {
    const { weight, bias } = this.#module
    if (!enabled) return linear(x, weight, bias)
    const { 'lora_A.weight': a, 'lora_B.weight': b } = this.parameters
    const dropout = training ? this.#dropout : 0
    return loraLinear(
      x,
      weight,
      a,
      b,
      { scaling: this.scaling, dropout, seed: (seed + Math.imul(this.#index, 0x85ebca6b)) | 0 },
      bias,
    )
  }

  /** `W + scaling * B A` as float32 `[out, in]`. */
  mergedWeight(): tf.Tensor2D {
    return tf.tidy(() => {
      const { 'lora_A.weight': a, 'lora_B.weight': b } = this.parameters
      return tf.add(dequantize(this.#module.weight), tf.mul(tf.matMul(b, a), this.scaling))
    })
  }
}
