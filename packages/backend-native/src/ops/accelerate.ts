import { getKernel, type TensorInfo } from '@tensorflow/tfjs-core'
import { type NativeBackend, replaceNativeKernel } from '../backend'

/** Puts `run` in front of the CPU backend's kernel of that name, which does whatever `run` returns undefined for. */
export function accelerate<Inputs, Attrs = undefined>(
  name: string,
  run: (backend: NativeBackend, inputs: Inputs, attrs: Attrs) => TensorInfo | undefined,
): void {
  const fallback = getKernel(name, 'cpu')!.kernelFunc
  replaceNativeKernel(
    name,
    (call) => run(call.backend as NativeBackend, call.inputs as Inputs, call.attrs as Attrs) ?? fallback(call),
  )
}
