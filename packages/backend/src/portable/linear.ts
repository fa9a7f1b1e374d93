import * as tf from '@tensorflow/tfjs-core'
import { timesMask } from './block'
import { dequantizeRows, gatherRows, times, timesTransposed, withAddend } from './matrix'
import { portable } from './register'

const dropped = (x: tf.Tensor, { dropout, seed }: { dropout: number; seed: number }) =>
  dropout > 0 ? timesMask(x, { rate: dropout, seed }) : x

const product = (a: tf.Tensor, b: tf.Tensor, transposeA = false, transposeB = false) =>
  tf.matMul(a as tf.Tensor2D, b as tf.Tensor2D, transposeA, transposeB)

/** Layers with a weight in any format: linear, linear with a low-rank update, embedding. */
export const linearKernels = [
  portable('Linear', ({ x, bias, ...weight }, attrs) => {
    const y = timesTransposed(x, weight, attrs)
    return bias ? tf.add(y, bias) : y
  }),
  portable('LinearGrad', ({ dy, addend, ...weight }, attrs) => withAddend(times(dy, weight, attrs), addend)),
  portable('LinearWeightGrad', ({ dy, x }) => product(dy, x, true)),
  portable('Dequantize', (weight, { rowStart, rowEnd, ...attrs }) => dequantizeRows(weight, attrs, rowStart, rowEnd)),
  portable('LoraLinear', ({ x, bias, loraA, loraB, ...weight }, attrs) => {
    const xa = product(dropped(x, attrs), loraA, false, true)
    const update = tf.mul(product(xa, loraB, false, true), attrs.scaling)
    const y = tf.add(timesTransposed(x, weight, attrs), update)
    return [bias ? tf.add(y, bias) : y, xa]
  }),
  portable('LoraLinearGrad', ({ dy, x, xa, addend, loraA, loraB, ...weight }, attrs) => {
    const low = tf.mul(product(dy, loraB), attrs.scaling)
    const inputGrad = () => withAddend(tf.add(times(dy, weight, attrs), dropped(product(low, loraA), attrs)), addend)
    const none = () => tf.zeros([0])
    if (!attrs.needsWeightGrad) return [inputGrad(), none(), none()]
    const dA = product(low, dropped(x!, attrs), true)
    const dB = tf.mul(product(dy, xa!, true), attrs.scaling)
    return [attrs.needsInputGrad ? inputGrad() : none(), dA, dB]
  }),
  portable('EmbeddingLookup', ({ ids, ...weight }, attrs) => gatherRows(weight, attrs, ids as tf.Tensor1D)),
  portable('EmbeddingGrad', ({ dy, ids }, { outFeatures }) =>
    tf.scatterND(tf.expandDims(ids, 1), dy, [outFeatures, dy.shape[1]!]),
  ),
]
