import * as tf from '@tensorflow/tfjs-core'
import type { Random } from '@tunesmith/core'
import { uniform, variableOf } from '../../variable'

export interface ProjectionSizes {
  count: number
  /** Width of a layer's keys, and of the embeddings. */
  width: number
  /** Width between the two linear layers. */
  hidden: number
  layers: number
  /** The second linear layer begins as zeros. */
  zero: boolean
}

/** Uniform within one over the root of the number of inputs, as torch begins linear layers. */
function linear(rows: number, columns: number, random: Random, zero = false) {
  const draw = uniform(random, zero ? 0 : 1 / Math.sqrt(columns))
  return { weight: variableOf([rows, columns], draw), bias: variableOf<tf.Rank.R1>([rows], draw) }
}

/**
 * The keys and values of prefix tuning out of small embeddings, by a perceptron that exists only while training. It has
 * one part of its last layer per decoder layer, which is PEFT's `transform.2` cut into pieces: so a
 * decoder layer computes, and has gradients for, its own piece only.
 */
export function projection({ count, width, hidden, layers, zero }: ProjectionSizes, random: Random) {
  const embedding = variableOf([count, width], () => random.normal())
  const first = linear(hidden, width, random)
  const second = Array.from({ length: layers }, () => ({
    keys: linear(width, hidden, random, zero),
    values: linear(width, hidden, random, zero),
  }))
  const parameters: Record<string, tf.Variable> = {
    'prompt_encoder.embedding.weight': embedding,
    'prompt_encoder.transform.0.weight': first.weight,
    'prompt_encoder.transform.0.bias': first.bias,
  }
  for (const [layer, parts] of second.entries())
    for (const [part, { weight, bias }] of Object.entries(parts)) {
      parameters[`prompt_encoder.transform.2.${layer}.${part}.weight`] = weight
      parameters[`prompt_encoder.transform.2.${layer}.${part}.bias`] = bias
    }
  const apply = (x: tf.Tensor2D, { weight, bias }: typeof first): tf.Tensor2D =>
    tf.add(tf.matMul(x, weight, false, true), bias)
  return {
    parameters,
    keyValues(layer: number) {
      const between = tf.tanh(apply(embedding, first))
      return { keys: apply(between, second[layer]!.keys), values: apply(between, second[layer]!.values) }
    },
  }
}
