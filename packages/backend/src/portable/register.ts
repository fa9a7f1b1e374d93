import * as tf from '@tensorflow/tfjs-core'
import type { Inputs } from './matrix'

/** A kernel out of standard TensorFlow.js operations: runs on every backend that has those. */
export interface PortableKernel<Attrs = object> {
  name: string
  run: (inputs: Inputs, attrs: Attrs) => tf.Tensor | tf.Tensor[]
}

/**
 * Registers portable kernels on a backend, except those it has of its own.
 *
 * @returns the names that were registered: the backend's kernels that are not its own.
 */
export function registerPortable(backendName: string, kernels: readonly PortableKernel<never>[]): string[] {
  const added: string[] = []
  for (const { name, run } of kernels) {
    if (tf.getKernel(name, backendName)) continue
    tf.registerKernel({
      kernelName: name,
      backendName,
      kernelFunc: ({ inputs, attrs }) =>
        tf.tidy(() => run(inputs as unknown as Inputs, attrs as never)) as unknown as tf.TensorInfo,
    })
    added.push(name)
  }
  return added
}
