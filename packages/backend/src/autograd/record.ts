import * as tf from '@tensorflow/tfjs-core'
import { engineState, isRecording, type TapeNode, withoutRecording } from '../engine'
import { requireTurn } from './value-and-grads'

export interface RecordedOp<Saved extends tf.Tensor[] = tf.Tensor[]> {
  name: string
  /** The inputs a gradient may be asked for. Frozen weights need not be listed. */
  inputs: Record<string, tf.Tensor>
  /** Runs the forward kernels; the first tensor is the differentiable result. */
  forward: () => tf.Tensor[]
  /** Tensors the gradient needs that may be disposed before it runs; kept as cheap clones until then. */
  save?: (outputs: tf.Tensor[]) => Saved
  /** One thunk per input; only those that lead to a wanted gradient are called. */
  gradient: (dy: tf.Tensor, saved: Saved) => Record<string, () => tf.Tensor>
}

/** A function that computes its value when it is first asked for it: gradients that one kernel makes together. */
export function once<Value>(compute: () => Value): () => Value {
  let value: Value | undefined
  return () => {
    value ??= compute()
    return value
  }
}

/**
 * Runs an operation of several kernels and records it as one node of the tape, with its gradient.
 *
 * Unlike a registered gradient, only the first output takes part, so that TensorFlow.js does not make
 * tensors of zeros for the gradients of auxiliary outputs (log-sum-exp, activations of the low rank).
 *
 * @returns all outputs of `forward`.
 */
export function record<Saved extends tf.Tensor[] | []>({
  name,
  inputs,
  forward,
  save,
  gradient,
}: RecordedOp<Saved>): tf.Tensor[] {
  const recording = isRecording()
  const outputs = withoutRecording(forward)
  if (!recording) return outputs
  const saved = withoutRecording(() => (save?.(outputs) ?? []).map((tensor) => tf.keep(tf.clone(tensor))))
  const node: TapeNode = {
    id: (tf.engine().state as unknown as { nextTapeNodeId: number }).nextTapeNodeId++,
    kernelName: name,
    inputs,
    outputs: [outputs[0]!],
    saved,
    gradient: ([dy]) => {
      requireTurn(node)
      return gradient(dy!, saved as Saved)
    },
  }
  engineState().activeTape!.push(node)
  return outputs
}
