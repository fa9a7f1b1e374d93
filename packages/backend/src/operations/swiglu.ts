import type * as tf from '@tensorflow/tfjs-core'
import { once, record } from '../autograd/record'
import type { SwiGLUAttrs } from '../contract/attributes'
import { runKernel } from '../engine'

/**
 * The gated half of a feed-forward block, `activation(gate) * up` (Shazeer 2020).
 *
 * @param gate `[tokens, intermediate]`
 * @param up `[tokens, intermediate]`
 * @returns `[tokens, intermediate]`
 */
export function swiglu(gate: tf.Tensor2D, up: tf.Tensor2D, attrs: SwiGLUAttrs = { activation: 'silu' }): tf.Tensor2D {
  return record({
    name: 'SwiGLU',
    inputs: { gate, up },
    forward: () => runKernel('TunesmithSwiGLU', { gate, up }, attrs),
    save: () => [gate, up],
    gradient: (dy, [gate, up]) => {
      // Nothing reads the kept gate and up after this: their memory may take the gradients if nobody else has it.
      const grads = once(() => runKernel('TunesmithSwiGLUGrad', { dy, gate, up }, { ...attrs, mayOverwrite: true }))
      return { gate: () => grads()[0]!, up: () => grads()[1]! }
    },
  })[0] as tf.Tensor2D
}
