import type { KernelFunc, NamedAttrMap, NamedTensorInfoMap, TensorInfo } from '@tensorflow/tfjs-core'
import { replaceKernel } from '@tunesmith/backend/contract'
import { isTunesmithError, TunesmithError } from '@tunesmith/core'
import type { CudaBackend } from './backend'
import { problemOf } from './errors'

export const CUDA_BACKEND_NAME = 'cuda'

export function replaceCudaKernel(name: string, kernel: KernelFunc): void {
  replaceKernel(CUDA_BACKEND_NAME, name, kernel)
}

/** Registers `Tunesmith<name>` on the device; whatever goes wrong in it is a {@link TunesmithError} that names it. */
export function defineCudaKernel(
  name: string,
  run: (backend: CudaBackend, inputs: NamedTensorInfoMap, attrs: NamedAttrMap) => TensorInfo | TensorInfo[],
): void {
  const kernelName = `Tunesmith${name}`
  replaceCudaKernel(kernelName, ({ inputs, attrs = {}, backend }) => {
    const cuda = backend as CudaBackend
    try {
      return cuda.runOnDevice(name, inputs, attrs, () => run(cuda, inputs, attrs))
    } catch (error) {
      const problem = problemOf(error as Error)
      const { code, remedy } = isTunesmithError(error) ? error : { code: 'internal' as const, remedy: undefined }
      if (isTunesmithError(error) && problem.startsWith(name)) throw error
      throw new TunesmithError(`${name}: ${problem}`, { code, where: kernelName, remedy, cause: error })
    }
  })
}
