import * as tf from '@tensorflow/tfjs-core'
import type { KernelAttrs, KernelInputs } from '../contract/kernels'
import { times, timesTransposed } from './matrix'
import { portable } from './register'

type Attrs = KernelAttrs<'LinearCrossEntropy'>

/** Labelled rows handled at a time: bounds the logits held at once to `128 * vocab`. */
const ROW_CHUNK = 128

/** Loss, entropy, correctness and d loss / d logits of some rows; `raw` `[rows, vocab]`, before capping. */
function lossOfRows(raw: tf.Tensor2D, labels: tf.Tensor1D, { softcap, outFeatures }: Attrs) {
  const tanh = softcap > 0 ? tf.tanh(tf.div(raw, softcap)) : undefined
  const logits = (tanh ? tf.mul(tanh, softcap) : raw) as tf.Tensor2D
  const logP = tf.sub(logits, tf.logSumExp(logits, 1, true))
  const p = tf.exp(logP)
  const oneHot = tf.oneHot(labels, outFeatures)
  const dCapped = tf.sub(p, tf.cast(oneHot, 'float32'))
  const statistics: tf.Tensor[] = [
    tf.neg(tf.sum(tf.mul(oneHot, logP), 1)),
    tf.neg(tf.sum(tf.mul(p, logP), 1)),
    tf.cast(tf.equal(tf.argMax(logits, 1), labels), 'float32'),
  ]
  return { statistics, dLogits: (tanh ? tf.mul(dCapped, tf.sub(1, tf.square(tanh))) : dCapped) as tf.Tensor2D }
}

function crossEntropy(inputs: KernelInputs<'LinearCrossEntropy', tf.Tensor>, attrs: Attrs): tf.Tensor[] {
  const { hidden, labels, ...weight } = inputs
  const [tokens, width] = hidden.shape as [number, number]
  const allLabels = labels.dataSync()
  const rows = Int32Array.from(allLabels.keys()).filter((row) => allLabels[row]! >= 0)
  const parts: tf.Tensor[][] = []
  let dWeight: tf.Tensor2D | undefined

  for (let start = 0; start < rows.length; start += ROW_CHUNK) {
    const chunk = rows.subarray(start, start + ROW_CHUNK)
    const chunkLabels = chunk.map((row) => allLabels[row]!)
    const made = tf.tidy(() => {
      const x = tf.gather(hidden as tf.Tensor2D, tf.tensor1d(chunk, 'int32'))
      const logits = timesTransposed(x, weight, attrs)
      const { statistics, dLogits } = lossOfRows(logits, tf.tensor1d(chunkLabels, 'int32'), attrs)
      const kept = [tf.sum(statistics[0]!), ...statistics]
      if (attrs.needsHiddenGrad) kept.push(times(dLogits, weight, attrs))
      if (attrs.needsWeightGrad) {
        const part = tf.matMul(dLogits, x, true, false)
        kept.push(dWeight ? tf.add(dWeight, part) : part)
      }
      return kept
    })
    if (attrs.needsWeightGrad) {
      dWeight?.dispose()
      dWeight = made.pop() as tf.Tensor2D
    }
    parts.push(made)
  }

  const index = tf.expandDims(tf.tensor1d(rows, 'int32'), 1)
  /** The chunks' values put back at their rows; 0 elsewhere. */
  const scatter = (which: number, shape: number[]) =>
    parts.length === 0 ? tf.zeros(shape) : tf.scatterND(index, tf.concat(parts.map((part) => part[which]!)), shape)
  return [
    parts.length === 0 ? tf.scalar(0) : tf.addN(parts.map((part) => part[0]!)),
    scatter(1, [tokens]),
    scatter(2, [tokens]),
    scatter(3, [tokens]),
    attrs.needsHiddenGrad ? scatter(4, [tokens, width]) : tf.zeros([0]),
    attrs.needsWeightGrad ? (dWeight ?? tf.zeros([attrs.outFeatures, width])) : tf.zeros([0]),
  ]
}

export const linearCrossEntropy = portable('LinearCrossEntropy', crossEntropy)
