import * as tf from '@tensorflow/tfjs-core'
import { denseWeight, type WeightMatrix } from '@tunesmith/backend'
import { Random } from '@tunesmith/core'

/** Where a model takes its tensors from while it is put together: a checkpoint, or fresh random numbers. */
export interface WeightSource {
  /** A weight matrix `[outFeatures, inFeatures]`. */
  matrix(name: string, outFeatures: number, inFeatures: number): WeightMatrix
  /** Several matrices that are one tensor `[count, outFeatures, inFeatures]`. Default: each by itself, `NAME.INDEX`. */
  stack?(name: string, shape: [count: number, outFeatures: number, inFeatures: number]): WeightMatrix[]
  /** A float32 vector. */
  vector(name: string, size: number): tf.Tensor1D
}

/**
 * Fresh trainable weights as transformers makes them: matrices normal with `initializerRange`, norms one, biases zero.
 * Each tensor's numbers depend on the seed and its name alone.
 */
export function randomWeights(seed: number, initializerRange: number): WeightSource {
  return {
    matrix(name, outFeatures, inFeatures) {
      const random = new Random(seed, name)
      const values = Float32Array.from({ length: outFeatures * inFeatures }, () => random.normal() * initializerRange)
      return denseWeight(tf.tidy(() => tf.variable(tf.tensor2d(values, [outFeatures, inFeatures]))))
    },
    vector: (name, size) =>
      tf.tidy(() => tf.variable(name.endsWith('.bias') ? tf.zeros<tf.Rank.R1>([size]) : tf.ones<tf.Rank.R1>([size]))),
  }
}
