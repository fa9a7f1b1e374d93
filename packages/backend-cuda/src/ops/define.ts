import { getKernel, type NamedAttrMap, type NamedTensorInfoMap, type TensorInfo } from '@tensorflow/tfjs-core'
import type { CudaBackend } from '../backend'
import { replaceCudaKernel } from '../kernel-call'

export type Info = TensorInfo

/**
 * Registers a standard operation: `run` computes it on the device, or returns nothing, and then TensorFlow.js' CPU kernel
 * does it.
 */
export function defineCudaOp(
  name: string,
  run: (backend: CudaBackend, inputs: NamedTensorInfoMap, attrs: NamedAttrMap) => Info | Info[] | undefined,
): void {
  const cpu = getKernel(name, 'cpu')!.kernelFunc
  replaceCudaKernel(name, (args) => {
    const backend = args.backend as CudaBackend
    const attrs = args.attrs ?? {}
    const done = backend.runOnDevice(name, args.inputs, attrs, () => run(backend, args.inputs, attrs))
    return done ?? backend.runOnCpu(name, () => cpu(args))
  })
}
