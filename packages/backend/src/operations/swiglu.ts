import type * as tf from '@tensorflow/tfjs-core'
import { record } from '../autograd/record'
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
  const [y] = record({
    name: 'SwiGLU',
    inputs: { gate, up },
    forward: () => runKernel('TunesmithSwiGLU', { gate, up }, attrs),
    save: () => [gate, up],
    gradient: (dy, [gate, up]) => {
      let both: tf.Tensor[] | undefined
      const grads = () => {
        // Nothing reads the kept gate and up after this: their memory may take the gradients if nobody else has it.
        both ??= runKernel('TunesmithSwiGLUGrad', { dy, gate: gate!, up: up! }, { ...attrs, mayOverwrite: true })
        return both
      }
      return { gate: () => grads()[0]!, up: () => grads()[1]! }
    },
  })
  return y as tf.Tensor2D
}
