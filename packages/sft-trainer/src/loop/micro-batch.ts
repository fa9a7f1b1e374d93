import * as tf from '@tensorflow/tfjs-core'
import { stopGradient, valueAndGrads, withoutRecording } from '@tunesmith/backend'
import type { PackedBatch } from '@tunesmith/datasets'
import type { Objective } from './objective'

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

function compute(objective: Objective, batch: PackedBatch, seed?: number) {
  const { loss, nll, entropy, correct } = objective.loss(batch, seed)
  const sums = withoutRecording(() => tf.stack([loss, tf.sum(nll), tf.sum(entropy), tf.sum(correct)]))
  return { loss, sums }
}

function readSums(sums: tf.Tensor, batch: PackedBatch, auxiliary?: tf.Tensor): LossSums {
  const [loss, nll, entropy, correct] = sums.dataSync() as Float32Array as unknown as [number, number, number, number]
  const added = auxiliary?.dataSync()[0] ?? 0
  tf.dispose([sums, auxiliary ?? []])
  return { loss, nll, entropy, correct, labels: batch.numLabels, tokens: batch.inputIds.length, auxiliary: added }
}

/**
 * Forward and backward over one micro-batch.
 *
 * @param weight of each token: 1 over the labelled tokens of the whole accumulation window, times the loss scale.
 * @param seed of dropout and noise; undefined for neither.
 * @param extra the adapter's own loss, and its weight.
 * @returns the sums, and the gradients of the weighted loss by parameter name; the caller disposes them.
 */
export function forwardBackward(
  objective: Objective,
  parameters: ReadonlyMap<string, tf.Variable>,
  batch: PackedBatch,
  weight: number,
  seed?: number,
  extra?: { loss: () => tf.Scalar | undefined; weight: number },
): { sums: LossSums; grads: Map<string, tf.Tensor> } {
  const { value, kept, grads } = valueAndGrads(
    (keep) => {
      const { loss, sums } = compute(objective, batch, seed)
      keep(sums)
      const weighted: tf.Scalar = tf.mul(loss, weight)
      const added = extra?.loss()
      if (!added) return weighted
      keep(stopGradient(added))
      return tf.add(weighted, tf.mul(added, extra!.weight))
    },
    [...parameters.values()],
  )
  value.dispose()
  const names = [...parameters.keys()]
  return { sums: readSums(kept[0]!, batch, kept[1]), grads: new Map(grads.map((grad, i) => [names[i]!, grad])) }
}

/** The loss of one batch, without gradients. */
export function evaluateBatch(objective: Objective, batch: PackedBatch): LossSums {
  return readSums(
    tf.tidy(() => compute(objective, batch).sums),
    batch,
  )
}
