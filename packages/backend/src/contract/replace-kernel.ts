import { getKernel, type KernelFunc, registerKernel, unregisterKernel } from '@tensorflow/tfjs-core'

/** Registers a kernel for a backend in place of what is there. */
export function replaceKernel(backendName: string, kernelName: string, kernelFunc: KernelFunc): void {
  if (getKernel(kernelName, backendName)) unregisterKernel(kernelName, backendName)
  registerKernel({ kernelName, backendName, kernelFunc })
}
