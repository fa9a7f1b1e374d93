import * as tf from '@tensorflow/tfjs-core'
import { isRecording, withoutRecording } from '../engine'
import { record } from './record'
import { currentlyWanted, recordTape, walkBack } from './value-and-grads'

/**
 * Gradient checkpointing: runs `f(x)` keeping only `x`, and runs it again in the backward pass.
 *
 * The gradients are those of plain `f(x)`, bit for bit, as long as `f` is deterministic (our dropout is: its mask
 * is a function of a counter). Costs one more forward pass, saves all activations inside `f`.
 *
 * @param f a differentiable function of one tensor, e.g. a decoder block.
 * @param parameters the trainable tensors `f` uses; without them listed here they get no gradient.
 */
export function checkpoint(
  f: (x: tf.Tensor2D) => tf.Tensor2D,
  x: tf.Tensor2D,
  parameters: readonly tf.Tensor[],
): tf.Tensor2D {
  if (!isRecording()) return f(x)
  const inputs: Record<string, tf.Tensor> = { x }
  parameters.forEach((parameter, i) => {
    inputs[`p${i}`] = parameter
  })
  const [y] = record({
    name: 'checkpoint',
    inputs,
    forward: () => [withoutRecording(() => tf.tidy(() => f(x)))],
    save: () => [x],
    gradient: (dy, [kept]) => {
      // The copy is a new tensor, so that the inner tape starts at it and not at what produced x.
      const input = tf.clone(kept as tf.Tensor2D)
      const { y: again, tape } = recordTape(() => f(input))
      const names = Object.keys(inputs).filter(currentlyWanted)
      const xs = names.map((name) => (name === 'x' ? input : inputs[name]!))
      const grads = walkBack(tape, again, dy, xs)
      return Object.fromEntries(names.map((name, i) => [name, () => grads[i] ?? tf.zerosLike(inputs[name]!)]))
    },
  })
  return y as tf.Tensor2D
}
