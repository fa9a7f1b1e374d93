import * as tf from '@tensorflow/tfjs-core'
import { engineState, isRecording, type TapeNode, withoutRecording } from '../engine'
import { offloadTensor, prefetchTensor } from '../offload'
import { record } from './record'
import { currentlyWanted, recordTape, walkBack } from './value-and-grads'

export interface CheckpointOptions {
  /**
   * Let what is kept leave the backend's memory for the host's while the computation goes on, and come back one checkpoint ahead in the
   * backward pass. No effect where the backend has no memory of its own. Default false.
   */
  offload?: boolean
  /**
   * Tensors that `f` reads beside `x` and its parameters, without a gradient: tables that all blocks share. They are kept
   * for the backward pass and given to `f` there, so that nobody has to make them again. Default none.
   */
  shared?: readonly tf.Tensor[]
}

// The inputs that checkpoints of a tape keep outside of the backend's memory, in the order of the forward pass.
const offloaded = new WeakMap<readonly TapeNode[], tf.Tensor[]>()

/** Moves out what the last node of the tape keeps. */
function moveOut(): tf.Tensor[] {
  const tape = engineState().activeTape!
  const kept = tape.at(-1)!.saved![0]!
  const before = offloaded.get(tape) ?? []
  offloaded.set(tape, before)
  before.push(kept)
  offloadTensor(kept)
  return before
}

/** Gets the input of the checkpoint before this one, which the backward pass comes to next. */
function bringBackBefore(kept: tf.Tensor, inputs: readonly tf.Tensor[]): void {
  const previous = inputs[inputs.indexOf(kept) - 1]
  if (previous && !previous.isDisposed) prefetchTensor(previous)
}

/**
 * Gradient checkpointing: runs `f(x, shared)` keeping only `x`, and runs it again in the backward pass.
 *
 * The gradients are those of plain `f(x)`, bit for bit, as long as `f` is deterministic (our dropout is: its mask
 * is a function of a counter). Costs one more forward pass, saves all activations inside `f`.
 *
 * @param f a differentiable function of one tensor, e.g. a decoder block; the second argument is {@link CheckpointOptions.shared}.
 * @param parameters the trainable tensors `f` uses; without them listed here they get no gradient.
 * @throws {TunesmithError} `out_of_memory` when `offload` finds no pinned memory on the host.
 */
export function checkpoint(
  f: (x: tf.Tensor2D, shared: readonly tf.Tensor[]) => tf.Tensor2D,
  x: tf.Tensor2D,
  parameters: readonly tf.Tensor[],
  { offload = false, shared = [] }: CheckpointOptions = {},
): tf.Tensor2D {
  if (!isRecording()) return f(x, shared)
  const inputs: Record<string, tf.Tensor> = {
    x,
    ...Object.fromEntries(parameters.map((parameter, i) => [`p${i}`, parameter])),
  }
  let chain: tf.Tensor[] = []
  const [y] = record({
    name: 'checkpoint',
    inputs,
    forward: () => [withoutRecording(() => tf.tidy(() => f(x, shared)))],
    save: () => [x, ...shared] as [tf.Tensor2D, ...tf.Tensor[]],
    gradient: (dy, [kept, ...sharedThen]) => {
      bringBackBefore(kept, chain)
      // The copy is a new tensor, so that the inner tape starts at it and not at what produced x.
      const input = tf.clone(kept as tf.Tensor2D)
      const { y: again, tape } = recordTape(() => f(input, sharedThen))
      const names = Object.keys(inputs).filter(currentlyWanted)
      const xs = names.map((name) => (name === 'x' ? input : inputs[name]!))
      const grads = walkBack(tape, again, dy, xs)
      return Object.fromEntries(names.map((name, i) => [name, () => grads[i] ?? tf.zerosLike(inputs[name]!)]))
    },
  })
  if (offload) chain = moveOut()
  return y as tf.Tensor2D
}
