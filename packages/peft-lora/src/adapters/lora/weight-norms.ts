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

/**
 * What DoRA needs of `W + scaling B A`: the lengths of its rows, or for embeddings of its columns. Neither that sum nor the
 * widened W is ever formed: |w + u|^2 = |w|^2 + 2 w.u + |u|^2, with w.u and |u|^2 from products of rank r.
 */
export interface WeightNorms {
  /** float32 `[out]` (embeddings: `[hidden]`), not differentiable. Belongs to the surrounding tidy, or is kept here. */
  lengths(call?: LayerCall): tf.Tensor1D
  /** Forgets what is known of the base weight and releases it. */
  reset(): void
}

interface Direction {
  /** How many lengths there are. */
  count(weight: WeightMatrix): number
  /** The squared lengths in W, `[count]`. */
  squares(weight: WeightMatrix): tf.Tensor
  /** A times W along the other direction, `[r, count]`. */
  product(weight: WeightMatrix, a: tf.Tensor2D): tf.Tensor
}

/** @param getWeight the base weight as it is now. */
export const rowNorms = (getWeight: () => WeightMatrix, tensors: LoraTensors): WeightNorms =>
  weightNorms(getWeight, tensors, {
    count: ({ outFeatures }) => outFeatures,
    squares: (weight) => tf.concat1d(overRows(weight, (rows) => tf.sum(tf.square(rows), 1)) as tf.Tensor1D[]),
    product: (weight, a) => linear(a, weight),
  })

/** For embeddings `[vocab, hidden]`, with A `[r, vocab]` and B `[hidden, r]`. */
export const columnNorms = (getWeight: () => WeightMatrix, tensors: LoraTensors): WeightNorms =>
  weightNorms(getWeight, tensors, {
    count: ({ inFeatures }) => inFeatures,
    squares: (weight) => tf.addN(overRows(weight, (rows) => tf.sum(tf.square(rows), 0))),
    product: (weight, a) =>
      tf.addN(overRows(weight, (rows, from, to) => tf.matMul(tf.slice2d(a, [0, from], [-1, to - from]), rows))),
  })

function weightNorms(getWeight: () => WeightMatrix, { a, b, scaling }: LoraTensors, direction: Direction): WeightNorms {
  let base: { weight: WeightMatrix; squares: tf.Tensor } | undefined
  /** The squared lengths in W, kept while the weight is the same one and frozen. */
  const squaresOf = (weight: WeightMatrix): tf.Tensor => {
    if (weight.weight instanceof tf.Variable) return direction.squares(weight)
    if (base?.weight !== weight) {
      base?.squares.dispose()
      base = { weight, squares: tf.keep(tf.tidy(() => direction.squares(weight))) }
    }
    return base.squares
  }
  let known: { lengths: tf.Tensor1D; reuse: object } | undefined
  const compute = () =>
    withoutRecording(() =>
      tf.tidy(() => {
        const weight = getWeight()
        // A model of sizes alone.
        if (weight.weight === undefined) return tf.ones<tf.Rank.R1>([direction.count(weight)])
        const along = tf.sum(tf.mul(tf.transpose(direction.product(weight, a)), b), 1)
        const own = tf.sum(tf.mul(tf.matMul(b, tf.matMul(a, a, false, true)), b), 1)
        const update = tf.add(tf.mul(along, 2 * scaling), tf.mul(own, scaling * scaling))
        return tf.sqrt(tf.maximum(tf.add(squaresOf(weight), update), 1e-30)) as tf.Tensor1D
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
      base?.squares.dispose()
      base = undefined
      forget()
    },
  }
}
