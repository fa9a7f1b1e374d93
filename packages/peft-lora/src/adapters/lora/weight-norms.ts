import * as tf from '@tensorflow/tfjs-core'
import { dequantize, linear, type WeightMatrix, withoutRecording } from '@tunesmith/backend'
import type { LayerCall } from '../../adapter'
import type { LoraTensors } from './linear-layer'

/** Rows of a packed weight that are widened at a time. */
const CHUNK = 1024

/** Sums something over a weight that is widened a few rows at a time. */
function overRows(weight: WeightMatrix, part: (rows: tf.Tensor2D, from: number, to: number) => tf.Tensor): tf.Tensor[] {
  const parts: tf.Tensor[] = []
  for (let from = 0; from < weight.outFeatures; from += CHUNK) {
    const to = Math.min(from + CHUNK, weight.outFeatures)
    parts.push(tf.tidy(() => part(dequantize(weight, from, to), from, to)))
  }
  return parts
}

const sizesOnly = (weight: WeightMatrix) => weight.weight === undefined

/**
 * What DoRA needs of `W + scaling B A`: the lengths of its rows, or for embeddings of its columns. Neither that sum nor the
 * widened W is ever formed: |w + u|^2 = |w|^2 + 2 w.u + |u|^2, with w.u and |u|^2 from products of rank r.
 */
export interface WeightNorms {
  /** float32 `[out]` (embeddings: `[hidden]`), not differentiable. Belongs to the surrounding tidy, or is kept here. */
  lengths(call?: LayerCall): tf.Tensor1D
  /** The base weight is another one. */
  reset(): void
  dispose(): void
}

/** @param getWeight the base weight as it is now. */
export function rowNorms(getWeight: () => WeightMatrix, { a, b, scaling }: LoraTensors): WeightNorms {
  return weightNorms(
    () => tf.concat1d(overRows(getWeight(), (rows) => tf.sum(tf.square(rows), 1)) as tf.Tensor1D[]),
    () => {
      if (sizesOnly(getWeight())) return tf.zeros([getWeight().outFeatures])
      const along = tf.sum(tf.mul(tf.transpose(linear(a, getWeight())), b), 1)
      const own = tf.sum(tf.mul(tf.matMul(b, tf.matMul(a, a, false, true)), b), 1)
      return tf.add(tf.mul(along, 2 * scaling), tf.mul(own, scaling * scaling))
    },
    () => sizesOnly(getWeight()) && tf.ones<tf.Rank.R1>([getWeight().outFeatures]),
  )
}

/** For embeddings `[vocab, hidden]`, with A `[r, vocab]` and B `[hidden, r]`. */
export function columnNorms(getWeight: () => WeightMatrix, { a, b, scaling }: LoraTensors): WeightNorms {
  return weightNorms(
    () => tf.addN(overRows(getWeight(), (rows) => tf.sum(tf.square(rows), 0))),
    () => {
      if (sizesOnly(getWeight())) return tf.zeros([getWeight().inFeatures])
      const product = tf.addN(
        overRows(getWeight(), (rows, from, to) => tf.matMul(tf.slice2d(a, [0, from], [-1, to - from]), rows)),
      )
      const along = tf.sum(tf.mul(tf.transpose(product), b), 1)
      const own = tf.sum(tf.mul(tf.matMul(b, tf.matMul(a, a, false, true)), b), 1)
      return tf.add(tf.mul(along, 2 * scaling), tf.mul(own, scaling * scaling))
    },
    () => sizesOnly(getWeight()) && tf.ones<tf.Rank.R1>([getWeight().inFeatures]),
  )
}

function weightNorms(
  baseSquares: () => tf.Tensor,
  updateSquares: () => tf.Tensor,
  withoutValues: () => tf.Tensor1D | false,
): WeightNorms {
  let base: tf.Tensor | undefined
  let known: { lengths: tf.Tensor1D; reuse: object } | undefined
  const compute = () =>
    withoutRecording(() =>
      tf.tidy(() => {
        const none = withoutValues()
        if (none) return none
        base ??= tf.keep(tf.tidy(baseSquares))
        return tf.sqrt(tf.maximum(tf.add(base, updateSquares()), 1e-30)) as tf.Tensor1D
      }),
    )
  const forget = () => {
    known?.lengths.dispose()
    known = undefined
  }
  return {
    lengths(call) {
      if (!call?.reuse) return compute()
      if (known?.reuse === call.reuse) return known.lengths
      forget()
      known = { lengths: tf.keep(compute()), reuse: call.reuse }
      return known.lengths
    },
    reset() {
      base?.dispose()
      base = undefined
      forget()
    },
    dispose() {
      this.reset()
    },
  }
}
