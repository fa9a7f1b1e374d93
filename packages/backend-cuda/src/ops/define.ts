import { getKernel, type NamedAttrMap, type NamedTensorInfoMap, type TensorInfo } from '@tensorflow/tfjs-core'
import type { CudaBackend } from '../backend'
import { replaceCudaKernel } from '../kernel-call'

export type Info = TensorInfo

type Run<X> = (backend: CudaBackend, x: X, attrs: NamedAttrMap) => Info | Info[] | undefined

/** What the device can hold; complex numbers and strings stay on the host. */
export function isNumber(x: Info): boolean {
  return x.dtype === 'float32' || x.dtype === 'int32' || x.dtype === 'bool'
}

/**
 * Registers a standard operation: `run` computes it on the device, or returns nothing, and then TensorFlow.js' CPU kernel
 * does it.
 */
export function defineCudaOp(name: string, run: Run<NamedTensorInfoMap>): void {
  const cpu = getKernel(name, 'cpu')!.kernelFunc
  replaceCudaKernel(name, (args) => {
    const backend = args.backend as CudaBackend
    const attrs = args.attrs ?? {}
    const done = backend.runOnDevice(name, args.inputs, attrs, () => run(backend, args.inputs, attrs))
    return done ?? backend.runOnCpu(name, () => cpu(args))
  })
}

/** Likewise, of one input of numbers, `x`, unless it is small and on the host. */
export function defineCudaOpOf(name: string, run: Run<Info>): void {
  defineCudaOp(name, (backend, inputs, attrs) => {
    const x = inputs.x as Info
    return isNumber(x) && !backend.onHost(x) ? run(backend, x, attrs) : undefined
  })
}
