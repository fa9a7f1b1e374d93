import { Add, type TensorInfo } from '@tensorflow/tfjs-core'
import { BINARY } from '@tunesmith/backend/contract'
import type { KernelCall } from '../kernel-call'

/** Adds the input `addend`, where it is given, to a result of its shape: the gradient that came by other paths. */
export function addAddend(call: KernelCall, { info, values }: { info: TensorInfo; values: Float32Array }): void {
  if (!call.has('addend')) return
  const addend = call.floats('addend', ...info.shape)
  call.addon.binary(BINARY[Add], 0, 1, values.length, addend, values, values)
}
