import { getKernel, type TensorInfo } from '@tensorflow/tfjs-core'
import type { CudaBackend } from '../backend'
import { replaceCudaKernel } from '../kernel-call'

export type Info = TensorInfo

type Run<X, Attrs> = (backend: CudaBackend, x: X, attrs: Attrs) => Info | Info[] | undefined

/** What the device can hold; complex numbers and strings stay on the host. */
export function isNumber(x: Info): boolean {
  return x.dtype === 'float32' || x.dtype === 'int32' || x.dtype === 'bool'
}

/**
 * Registers a standard operation: `run` computes it on the device, or returns nothing, and then TensorFlow.js' CPU kernel
 * does it.
 */
export function defineCudaOp<Inputs, Attrs = object>(name: string, run: Run<Inputs, Attrs>): void {
  const cpu = getKernel(name, 'cpu')!.kernelFunc
  replaceCudaKernel(name, (args) => {
    const backend = args.backend as CudaBackend
    const attrs = args.attrs ?? {}
    const compute = () => run(backend, args.inputs as Inputs, attrs as Attrs)
    const done = backend.runOnDevice(name, args.inputs, attrs, compute)
    return done ?? backend.runOnCpu(name, () => cpu(args))
  })
}

/** Likewise, of one input of numbers, `x`, unless it is small and on the host. */
export function defineCudaOpOf<Attrs = object>(name: string, run: Run<Info, Attrs>): void {
  defineCudaOp<{ x: Info }, Attrs>(name, (backend, { x }, attrs) =>
    isNumber(x) && !backend.onHost(x) ? run(backend, x, attrs) : undefined,
  )
}
