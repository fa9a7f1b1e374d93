import * as tf from '@tensorflow/tfjs-core'
import { embeddingLookup, linear, rmsNorm, type WeightMatrix } from '@tunesmith/backend'
import type { Pass } from './pass'

/** What an adapter puts in the place of a module's own computation. */
export type Override<Module, Input> = (input: Input, module: Module, pass: Pass) => tf.Tensor2D

/** One linear layer of a model: the place where adapters attach. */
export class LinearModule {
  /** Replaces the plain product; set and removed by adapters. */
  override: Override<LinearModule, tf.Tensor2D> | undefined

  constructor(
    /** The name in the checkpoint without `.weight`, e.g. `model.layers.0.self_attn.q_proj`. */
    readonly name: string,
    public weight: WeightMatrix,
    public bias: tf.Tensor1D | undefined,
  ) {}

  /** x `[tokens, in]` to `[tokens, out]`, through the adapter if there is one. */
  forward(x: tf.Tensor2D, pass: Pass): tf.Tensor2D {
    return this.override ? this.override(x, this, pass) : this.forwardBase(x)
  }

  /** The layer without any adapter. */
  forwardBase(x: tf.Tensor2D): tf.Tensor2D {
    return linear(x, this.weight, this.bias)
  }
}

/** The token embeddings. */
export class EmbeddingModule {
  override: Override<EmbeddingModule, tf.Tensor1D> | undefined

  constructor(
    readonly name: string,
    public weight: WeightMatrix,
  ) {}

  /** ids int32 `[tokens]` to `[tokens, hidden]`, through the adapter if there is one. */
  forward(ids: tf.Tensor1D, pass: Pass): tf.Tensor2D {
    return this.override ? this.override(ids, this, pass) : this.forwardBase(ids)
  }

  /** The embeddings without any adapter. */
  forwardBase(ids: tf.Tensor1D): tf.Tensor2D {
    return embeddingLookup(this.weight, ids)
  }
}

/** A root mean square norm. */
export class NormModule {
  constructor(
    readonly name: string,
    public weight: tf.Tensor1D,
    readonly eps: number,
    /** Added to the weight: 1 for gemma. */
    readonly offset: number,
  ) {}

  forward(x: tf.Tensor2D): tf.Tensor2D {
    return rmsNorm(x, this.weight, { eps: this.eps, offset: this.offset })
  }
}

/** The weights of a module that are trainable variables. */
export function trainableWeights(module: LinearModule | EmbeddingModule | NormModule): tf.Variable[] {
  const { weight } = module
  const tensors = [weight instanceof tf.Tensor ? weight : weight.weight, 'bias' in module ? module.bias : undefined]
  return tensors.filter((tensor) => tensor instanceof tf.Variable && tensor.trainable) as tf.Variable[]
}
