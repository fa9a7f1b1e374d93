/** The kernels of a decoder block that work row by row. */
import * as tf from '@tensorflow/tfjs-core'
import type { DropoutAttrs, SwiGLUAttrs } from '../contract/attributes'
import { dropoutMask } from '../contract/dropout-mask'
import { withAddend } from './matrix'
import { portable } from './register'

const inverseRms = (x: tf.Tensor, eps: number) => tf.rsqrt(tf.add(tf.mean(tf.square(x), -1, true), eps))

/** Dropout out of standard operations. */
export function timesMask(x: tf.Tensor, { rate, seed }: DropoutAttrs): tf.Tensor {
  return tf.mul(x, tf.tensor(dropoutMask(x.size, rate, seed), x.shape))
}

const SQRT_2_OVER_PI = Math.sqrt(2 / Math.PI)

/** The activation and its derivative. */
function activate(gate: tf.Tensor, activation: SwiGLUAttrs['activation']): [tf.Tensor, tf.Tensor] {
  if (activation === 'silu') {
    const sigmoid = tf.sigmoid(gate)
    return [tf.mul(gate, sigmoid), tf.mul(sigmoid, tf.add(1, tf.mul(gate, tf.sub(1, sigmoid))))]
  }
  const square = tf.square(gate)
  const inner = tf.mul(tf.mul(gate, SQRT_2_OVER_PI), tf.add(1, tf.mul(square, 0.044715)))
  const tanh = tf.tanh(inner)
  const slope = tf.mul(SQRT_2_OVER_PI, tf.add(1, tf.mul(square, 3 * 0.044715)))
  const left = tf.mul(0.5, tf.add(1, tanh))
  const right = tf.mul(tf.mul(0.5, gate), tf.mul(tf.sub(1, tf.square(tanh)), slope))
  return [tf.mul(gate, left), tf.add(left, right)]
}

export const blockKernels = [
  portable('RMSNorm', ({ x, weight }, { eps, offset }) =>
    tf.mul(tf.mul(x, inverseRms(x, eps)), tf.add(weight, offset)),
  ),
  portable('RMSNormGrad', ({ dy, x, weight, addend }, { eps, offset }) => {
    const r = inverseRms(x, eps)
    const scaled = tf.mul(dy, tf.add(weight, offset))
    const along = tf.mul(tf.mean(tf.mul(scaled, x), -1, true), tf.square(r))
    return withAddend(tf.mul(r, tf.sub(scaled, tf.mul(x, along))), addend)
  }),
  portable('RMSNormWeightGrad', ({ dy, x }, { eps }) => tf.sum(tf.mul(tf.mul(dy, x), inverseRms(x, eps)), 0)),
  portable('RotaryEmbedding', ({ x, cos, sin }, { headDim, rotaryDim, inverse }) => {
    const [tokens, width] = x.shape as [number, number]
    const half = rotaryDim / 2
    const heads = tf.reshape(x, [tokens, width / headDim, headDim]) as tf.Tensor3D
    const a = tf.slice3d(heads, [0, 0, 0], [-1, -1, half])
    const b = tf.slice3d(heads, [0, 0, half], [-1, -1, half])
    const c = tf.expandDims(cos, 1)
    const s = inverse ? tf.neg(tf.expandDims(sin, 1)) : tf.expandDims(sin, 1)
    const parts = [tf.sub(tf.mul(a, c), tf.mul(b, s)), tf.add(tf.mul(b, c), tf.mul(a, s))]
    if (rotaryDim < headDim) parts.push(tf.slice3d(heads, [0, 0, rotaryDim], [-1, -1, headDim - rotaryDim]))
    return tf.reshape(tf.concat(parts, 2), [tokens, width])
  }),
  portable('SwiGLU', ({ gate, up }, { activation }) => tf.mul(activate(gate, activation)[0], up)),
  portable('SwiGLUGrad', ({ dy, gate, up }, { activation }) => {
    const [value, slope] = activate(gate, activation)
    return [tf.mul(tf.mul(dy, up), slope), tf.mul(dy, value)]
  }),
  portable('Dropout', ({ x }, attrs) => timesMask(x, attrs)),
]
