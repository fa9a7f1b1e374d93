import * as tf from '@tensorflow/tfjs-core'
import { valueAndGrads, withoutRecording } from '@tunesmith/backend'
import type { PackedBatch } from '@tunesmith/datasets'
import type { CausalLM, ForwardOptions } from '@tunesmith/models'

/** Sums over the labelled tokens of one or more batches. */
export interface LossSums {
  /** What is minimised, before normalisation; with `nll` and no smoothing the same as `nll`. */
  loss: number
  nll: number
  entropy: number
  /** Tokens whose most likely prediction is the label. */
  correct: number
  labels: number
  tokens: number
  /** What the adapter adds to the mean loss per token (AdaLoRA's regulariser); 0 for most. */
  auxiliary: number
}

export interface LossOptions {
  lossType: 'nll' | 'dft'
  labelSmoothingFactor: number
  gradientCheckpointing: boolean
  /** Default false. */
  activationOffloading?: boolean
}

/** What training adds to a forward pass. */
export type TrainingPass = Pick<ForwardOptions, 'training' | 'seed' | 'onEmbeddings'>

function compute(model: CausalLM, batch: PackedBatch, options: LossOptions & TrainingPass) {
  const { loss, nll, entropy, correct } = model.loss(batch, batch.labels, {
    mode: options.lossType,
    labelSmoothing: options.labelSmoothingFactor,
    gradientCheckpointing: options.gradientCheckpointing,
    activationOffloading: options.activationOffloading,
    training: options.training,
    seed: options.seed,
    onEmbeddings: options.onEmbeddings,
  })
  const sums = withoutRecording(() => tf.stack([loss, tf.sum(nll), tf.sum(entropy), tf.sum(correct)]))
  return { loss, sums }
}

function readSums(sums: tf.Tensor, batch: PackedBatch): LossSums {
  const [loss, nll, entropy, correct] = sums.dataSync() as Float32Array as unknown as [number, number, number, number]
  sums.dispose()
  return { loss, nll, entropy, correct, labels: batch.numLabels, tokens: batch.inputIds.length, auxiliary: 0 }
}

/**
 * Forward and backward over one micro-batch.
 *
 * @param weight of each token: 1 over the labelled tokens of the whole accumulation window, times the loss scale.
 * @param extra the adapter's own loss, and its weight.
 * @returns the sums, and the gradients of the weighted loss by parameter name; the caller disposes them.
 */
export function forwardBackward(
  model: CausalLM,
  parameters: ReadonlyMap<string, tf.Variable>,
  batch: PackedBatch,
  weight: number,
  options: LossOptions & TrainingPass,
  extra?: { loss: () => tf.Scalar | undefined; weight: number },
): { sums: LossSums; grads: Map<string, tf.Tensor> } {
  const kept: { sums?: tf.Tensor; auxiliary?: tf.Tensor } = {}
  const { value, grads } = valueAndGrads(() => {
    const computed = compute(model, batch, options)
    kept.sums = tf.keep(computed.sums)
    const weighted: tf.Scalar = tf.mul(computed.loss, weight)
    const added = extra?.loss()
    if (!added) return weighted
    kept.auxiliary = tf.keep(withoutRecording(() => tf.clone(added)))
    return tf.add<tf.Scalar>(weighted, tf.mul(added, extra!.weight))
  }, [...parameters.values()])
  value.dispose()
  const names = [...parameters.keys()]
  const read = { ...readSums(kept.sums!, batch), auxiliary: kept.auxiliary?.dataSync()[0] ?? 0 }
  kept.auxiliary?.dispose()
  return { sums: read, grads: new Map(grads.map((grad, i) => [names[i]!, grad])) }
}

/** The loss of one batch, without gradients. */
export function evaluateBatch(model: CausalLM, batch: PackedBatch, options: LossOptions): LossSums {
  const sums = tf.tidy(() => compute(model, batch, { ...options, gradientCheckpointing: false }).sums)
  return readSums(sums, batch)
}
