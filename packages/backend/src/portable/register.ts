import * as tf from '@tensorflow/tfjs-core'
import { isTunesmithError, TunesmithError } from '@tunesmith/core'
import type { KernelAttrs, KernelInputs, KernelName } from '../contract/kernels'
import { KernelPlan } from '../contract/plan'

/** A kernel out of standard TensorFlow.js operations: runs on every backend that has those. */
export interface PortableKernel<Name extends KernelName = KernelName> {
  name: Name
  run(inputs: KernelInputs<Name, tf.Tensor>, attrs: KernelAttrs<Name>): tf.Tensor | tf.Tensor[]
}

export function portable<Name extends KernelName>(name: Name, run: PortableKernel<Name>['run']): PortableKernel {
  return { name, run } as PortableKernel
}

/**
 * Registers portable kernels on a backend, except those it has of its own.
 *
 * @returns the names that were registered: the backend's kernels that are not its own.
 */
export function registerPortable(backendName: string, kernels: readonly PortableKernel[]): string[] {
  const added: string[] = []
  for (const { name, run } of kernels) {
    const kernelName = `Tunesmith${name}`
    if (tf.getKernel(kernelName, backendName)) continue
    const plan = new KernelPlan(name)
    tf.registerKernel({
      kernelName,
      backendName,
      kernelFunc: ({ inputs, attrs }) => {
        const complete = plan.check(inputs, attrs ?? {})
        try {
          return tf.tidy(() => run(inputs as never, complete as never)) as unknown as tf.TensorInfo
        } catch (error) {
          if (isTunesmithError(error)) throw error
          const message = `${kernelName}: ${(error as Error).message}`
          // What JavaScript says when an array cannot be had.
          const noMemory = error instanceof RangeError && /array length|allocation/i.test(message)
          const code = noMemory ? 'out_of_memory' : 'backend'
          throw new TunesmithError(message, { code, where: `${kernelName} on ${backendName}`, cause: error })
        }
      },
    })
    added.push(kernelName)
  }
  return added
}
