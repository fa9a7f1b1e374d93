import * as tf from '@tensorflow/tfjs-core'
import { embeddingLookup, layerNorm, linear, rmsNorm, type WeightMatrix } from '@tunesmith/backend'
import type { Pass } from './pass'

/** A module with a weight matrix: the place where adapters attach. */
abstract class Adaptable<Input> {
  /** Replaces the module's own computation; set and removed by adapters. */
  override: ((input: Input, module: this, pass: Pass) => tf.Tensor2D) | undefined

  constructor(
    /** The name in the checkpoint without `.weight`, e.g. `model.layers.0.self_attn.q_proj`. */
    readonly name: string,
    public weight: WeightMatrix,
  ) {}

  /** The module through the adapter if there is one. */
  forward(input: Input, pass: Pass): tf.Tensor2D {
    return this.override ? this.override(input, this, pass) : this.forwardBase(input)
  }

  /** The module without any adapter. */
  abstract forwardBase(input: Input): tf.Tensor2D
}

/** One linear layer: x `[tokens, in]` to `[tokens, out]`. */
export class LinearModule extends Adaptable<tf.Tensor2D> {
  constructor(
    name: string,
    weight: WeightMatrix,
    public bias: tf.Tensor1D | undefined,
    /** It is no layer of its own in Python: a router. */
    readonly isParameter = false,
  ) {
    super(name, weight)
  }

  forwardBase(x: tf.Tensor2D): tf.Tensor2D {
    return linear(x, this.weight, this.bias)
  }
}

/** The token embeddings: ids int32 `[tokens]` to `[tokens, hidden]`. */
export class EmbeddingModule extends Adaptable<tf.Tensor1D> {
  forwardBase(ids: tf.Tensor1D): tf.Tensor2D {
    return embeddingLookup(this.weight, ids)
  }
}

/** The matrices of a layer's experts, `[out, in]` each; in checkpoints one tensor `[experts, out, in]`, or one per expert. */
export class ExpertsModule {
  constructor(
    readonly name: string,
    readonly weights: WeightMatrix[],
  ) {}
}

/** A norm with its weight: root mean square, or LayerNorm. */
export class NormModule {
  constructor(
    readonly name: string,
    public weight: tf.Tensor1D,
    readonly eps: number,
    /** Added to the weight: 1 for gemma. */
    readonly offset: number,
    readonly kind: 'rms' | 'layer' = 'rms',
    public bias: tf.Tensor1D | undefined = undefined,
  ) {}

  forward(x: tf.Tensor2D): tf.Tensor2D {
    const { eps, offset } = this
    if (this.kind === 'layer') return layerNorm(x, this.weight, this.bias, eps)
    return rmsNorm(x, this.weight, { eps, offset })
  }
}

/** The weights of a module that are trainable variables. */
export function trainableWeights(module: LinearModule | EmbeddingModule | NormModule | ExpertsModule): tf.Variable[] {
  if (module instanceof ExpertsModule)
    return module.weights.flatMap(({ weight }) => (weight instanceof tf.Variable && weight.trainable ? [weight] : []))
  const { weight } = module
  const tensors = [weight instanceof tf.Tensor ? weight : weight.weight, 'bias' in module ? module.bias : undefined]
  return tensors.filter((tensor) => tensor instanceof tf.Variable && tensor.trainable) as tf.Variable[]
}
