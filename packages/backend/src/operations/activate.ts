import * as tf from '@tensorflow/tfjs-core'
import { record } from '../autograd/record'

/** An activation without a gate: of x, and its derivative by x. */
const ACTIVATIONS = {
  /** `x sigmoid(x)`. */
  silu: {
    value: (x: tf.Tensor) => tf.mul(x, tf.sigmoid(x)),
    slope: (x: tf.Tensor) => {
      const sigmoid = tf.sigmoid(x)
      return tf.mul(sigmoid, tf.add(1, tf.mul(x, tf.sub(1, sigmoid))))
    },
  },
  /** `x Phi(x)` with the normal distribution's function (Hendrycks and Gimpel 2016). */
  gelu: {
    value: (x: tf.Tensor) => tf.mul(x, normalBelow(x)),
    slope: (x: tf.Tensor) => {
      const density = tf.mul(1 / Math.sqrt(2 * Math.PI), tf.exp(tf.mul(-0.5, tf.square(x))))
      return tf.add(normalBelow(x), tf.mul(x, density))
    },
  },
  /** Its approximation by a hyperbolic tangent. */
  gelu_tanh: {
    value: (x: tf.Tensor) => tf.mul(tf.mul(0.5, x), tf.add(1, tf.tanh(inner(x)))),
    slope: (x: tf.Tensor) => {
      const tanh = tf.tanh(inner(x))
      const growth = tf.mul(SQRT_2_OVER_PI, tf.add(1, tf.mul(tf.square(x), 3 * 0.044715)))
      const right = tf.mul(tf.mul(tf.mul(0.5, x), tf.sub(1, tf.square(tanh))), growth)
      return tf.add(tf.mul(0.5, tf.add(1, tanh)), right)
    },
  },
}

const SQRT_2_OVER_PI = Math.sqrt(2 / Math.PI)
const inner = (x: tf.Tensor) => tf.mul(tf.mul(x, SQRT_2_OVER_PI), tf.add(1, tf.mul(tf.square(x), 0.044715)))
const normalBelow = (x: tf.Tensor) => tf.mul(0.5, tf.add(1, tf.erf(tf.mul(x, Math.SQRT1_2))))

/** An activation without a gate, as feed-forward blocks of two layers have it. Only x is kept for the gradient. */
export function activate(x: tf.Tensor2D, activation: keyof typeof ACTIVATIONS): tf.Tensor2D {
  const { value, slope } = ACTIVATIONS[activation]
  return record({
    name: 'Activate',
    inputs: { x },
    forward: () => [tf.tidy(() => value(x))],
    save: () => [x],
    gradient: (dy, [x]) => ({ x: () => tf.tidy(() => tf.mul(dy, slope(x))) }),
  })[0] as tf.Tensor2D
}
