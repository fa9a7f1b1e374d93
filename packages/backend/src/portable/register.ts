import * as tf from '@tensorflow/tfjs-core'
import { isTunesmithError, TunesmithError } from '@tunesmith/core'
import { checkContract } from '../contract/contract'
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
      kernelFunc: ({ inputs, attrs }) => {
        checkContract(name, inputs as unknown as Inputs, attrs as object)
        try {
          return tf.tidy(() => run(inputs as unknown as Inputs, attrs as never)) as unknown as tf.TensorInfo
        } catch (error) {
          if (isTunesmithError(error)) throw error
          const message = `${name}: ${(error as Error).message}`
          // What JavaScript says when an array cannot be had.
          const noMemory = error instanceof RangeError && /array length|allocation/i.test(message)
          const code = noMemory ? 'out_of_memory' : 'backend'
          throw new TunesmithError(message, { code, where: `${name} on ${backendName}`, cause: error })
        }
      },
    })
    added.push(name)
  }
  return added
}
