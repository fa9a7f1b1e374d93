import * as tf from '@tensorflow/tfjs-core'
import { stopGradient, valueAndGrads, withoutRecording } from '@tunesmith/backend'
import type { PackedBatch } from '@tunesmith/datasets'
import type { MicroObjective, MicroSums } from './objective'

/** The loss, and all numbers in one tensor, so that they are read at once. */
function compute<Batch extends PackedBatch>(objective: MicroObjective<Batch>, batch: Batch, seed?: number) {
  const { loss, totals } = objective.microBatch(batch, seed)
  return {
    loss,
    names: Object.keys(totals),
    numbers: withoutRecording(() => tf.stack([loss, ...Object.values(totals)])),
  }
}

function readSums(numbers: tf.Tensor, names: readonly string[], tokens: number, items: number, extra?: tf.Tensor) {
  const [loss, ...values] = numbers.dataSync() as Float32Array as unknown as [number, ...number[]]
  const auxiliary = extra?.dataSync()[0] ?? 0
  tf.dispose([numbers, extra ?? []])
  const totals = Object.fromEntries(names.map((name, i) => [name, values[i]!]))
  return { loss, items, tokens, auxiliary, totals } satisfies MicroSums
}

/**
 * Forward and backward over one micro-batch.
 *
 * @param weight of each item: 1 over the items of the whole accumulation window, times the loss scale.
 * @param seed of dropout and noise; undefined for neither.
 * @param extra the adapter's own loss, and its weight.
 * @returns the sums, and the gradients of the weighted loss by parameter name; the caller disposes them.
 */
export function forwardBackward<Batch extends PackedBatch>(
  objective: MicroObjective<Batch>,
  parameters: ReadonlyMap<string, tf.Variable>,
  batch: Batch,
  weight: number,
  seed?: number,
  extra?: { loss: () => tf.Scalar | undefined; weight: number },
): { sums: MicroSums; grads: Map<string, tf.Tensor> } {
  let names: string[] = []
  const { value, kept, grads } = valueAndGrads(
    (keep) => {
      const computed = compute(objective, batch, seed)
      names = computed.names
      keep(computed.numbers)
      const weighted: tf.Scalar = tf.mul(computed.loss, weight)
      const added = extra?.loss()
      if (!added) return weighted
      keep(stopGradient(added))
      return tf.add(weighted, tf.mul(added, extra!.weight))
    },
    [...parameters.values()],
  )
  value.dispose()
  const keys = [...parameters.keys()]
  return {
    sums: readSums(kept[0]!, names, batch.inputIds.length, objective.items(batch), kept[1]),
    grads: new Map(grads.map((grad, i) => [keys[i]!, grad])),
  }
}

/** The loss of one batch, without gradients. */
export function evaluateBatch<Batch extends PackedBatch>(objective: MicroObjective<Batch>, batch: Batch): MicroSums {
  let names: string[] = []
  const numbers = tf.tidy(() => {
    const computed = compute(objective, batch)
    names = computed.names
    return computed.numbers
  })
  return readSums(numbers, names, batch.inputIds.length, objective.items(batch))
}
