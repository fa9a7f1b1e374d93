import * as tf from '@tensorflow/tfjs-core'
import { runKernel, withoutRecording } from './engine'

// Optional kernels: a backend without them keeps every tensor where it is.
const OFFLOAD = 'TunesmithOffload'
const PREFETCH = 'TunesmithPrefetch'
const OPTIMIZER_STATE = 'TunesmithOptimizerState'

function runOptional(name: string, x: tf.Tensor, attrs: object = {}): void {
  if (tf.getKernel(name, tf.getBackend())) withoutRecording(() => runKernel(name, { x }, attrs))
}

/** Whether the current backend can move tensors out of its memory, that is: has memory apart from the host's. */
export function canOffload(): boolean {
  return tf.getKernel(OFFLOAD, tf.getBackend()) != null
}

/**
 * Begins to move the values of `x`, of any shape and type, to pinned host memory while the computation goes on. `x` stays what it is: its
 * next use, or that of anything that shares its values, brings them back. No effect on a backend that has no memory of its own.
 *
 * @throws {TunesmithError} `out_of_memory` when the host has no pinned memory.
 */
export function offloadTensor(x: tf.Tensor): void {
  runOptional(OFFLOAD, x)
}

/** Begins to bring back what {@link offloadTensor} moved, ahead of its next use; no effect on anything else, or without room. */
export function prefetchTensor(x: tf.Tensor): void {
  runOptional(PREFETCH, x)
}

/**
 * Says that `x` belongs to an optimizer's state: the backend counts it as such. When `pageable`, its values move to pinned
 * host memory when the device has no room, those used longest ago first, and come back with their next use; results do not change.
 *
 * Assigning to a variable replaces its values, which have to be marked again.
 */
export function markOptimizerState(x: tf.Tensor, pageable: boolean): void {
  runOptional(OPTIMIZER_STATE, x, { pageable })
}
