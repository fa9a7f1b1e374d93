import * as tf from '@tensorflow/tfjs-core'
import type { SwiGLUAttrs } from '../contract/attributes'
import type { PortableKernel } from './register'

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

export const swigluKernels: PortableKernel<SwiGLUAttrs>[] = [
  {
    name: 'TunesmithSwiGLU',
    run: ({ gate, up }, { activation }) => tf.mul(activate(gate!, activation)[0], up!),
  },
  {
    name: 'TunesmithSwiGLUGrad',
    run: ({ dy, gate, up }, { activation }) => {
      const [value, slope] = activate(gate!, activation)
      return [tf.mul(tf.mul(dy!, up!), slope), tf.mul(dy!, value)]
    },
  },
]
