import type { KernelFunc, TensorInfo } from '@tensorflow/tfjs-core'
import { KernelInputs, replaceKernel } from '@tunesmith/backend/contract'
import { isTunesmithError, TunesmithError } from '@tunesmith/core'
import type { NativeBackend } from './backend'

export const BACKEND_NAME = 'native'

/** A call of a native kernel, with outputs to fill. */
export class KernelCall extends KernelInputs<NativeBackend> {
  get addon(): NativeBackend['addon'] {
    return this.backend.addon
  }

  output(...shape: number[]) {
    return this.backend.output(shape, 'float32')
  }

  /** Ends a call into the addon: false means that working memory could not be had. */
  check(done: boolean): void {
    if (done) return
    throw new TunesmithError(`${this.kernel}: no memory to work in`, {
      code: 'out_of_memory',
      remedy: 'Use shorter sequences or a smaller batch',
    })
  }
}

export function replaceNativeKernel(kernelName: string, kernelFunc: KernelFunc): void {
  replaceKernel(BACKEND_NAME, kernelName, kernelFunc)
}

/** Registers `Tunesmith<name>`; whatever goes wrong in it is a {@link TunesmithError}. */
export function defineKernel<Attrs>(name: string, run: (call: KernelCall, attrs: Attrs) => TensorInfo | TensorInfo[]) {
  const kernelName = `Tunesmith${name}`
  replaceNativeKernel(kernelName, ({ inputs, attrs, backend }) => {
    try {
      return run(new KernelCall(name, inputs, backend as NativeBackend), attrs as Attrs)
    } catch (error) {
      if (isTunesmithError(error)) throw error
      const code = error instanceof TypeError || error instanceof RangeError ? 'invalid_data' : 'internal'
      throw new TunesmithError(`${name}: ${(error as Error).message}`, { code, where: kernelName, cause: error })
    }
  })
}
