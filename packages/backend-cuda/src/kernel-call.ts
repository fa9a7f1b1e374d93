import type { KernelFunc, TensorInfo } from '@tensorflow/tfjs-core'
import { KernelInputs, replaceKernel } from '@tunesmith/backend/contract'
import { isTunesmithError, TunesmithError } from '@tunesmith/core'
import { type CudaAddon, type Handle, STORAGE } from './addon'
import { type CudaBackend, problemOf } from './backend'

export const CUDA_BACKEND_NAME = 'cuda'

/** One call of a kernel on the device: checked inputs as handles, and outputs. */
export class CudaCall extends KernelInputs<CudaBackend> {
  get addon(): CudaAddon {
    return this.backend.addon
  }

  /** An activation, or the gradient of one: bf16 unless float32 was chosen. */
  activation(...shape: number[]) {
    return this.backend.output(shape, this.backend.activation)
  }

  /** An activation in the memory of an input that is there, no other tensor's and of that type; a new one otherwise. */
  activationOver(name: string, ...shape: number[]) {
    const x = this.has(name) ? this.info(name, 'float32', shape) : undefined
    // A tensor that is given twice is read in its other role as well.
    const once = Object.values(this.inputs).filter((other) => other?.dataId === x?.dataId).length === 1
    return (x && once && this.backend.reuse(x)) || this.activation(...shape)
  }

  /** A parameter of a layer, in the type of activations. */
  parameter(name: string, ...shape: number[]): Handle {
    return this.backend.parameter(this.info(name, 'float32', shape))
  }

  optionalParameter(name: string, ...shape: number[]): Handle | null {
    return this.has(name) ? this.parameter(name, ...shape) : null
  }

  /** A statistic, or the gradient of a parameter: float32. */
  float32(...shape: number[]) {
    return this.backend.output(shape, STORAGE.f32)
  }

  /** An int32 input on the device and on the host. */
  boundaries(name: string, ...shape: number[]): { handle: Handle; host: Int32Array } {
    const x = this.info(name, 'int32', shape)
    return { handle: this.backend.ints(x), host: this.backend.checkedInts(x) }
  }
}

export function replaceCudaKernel(name: string, kernel: KernelFunc): void {
  replaceKernel(CUDA_BACKEND_NAME, name, kernel)
}

/** Registers `Tunesmith<name>` on the device; whatever goes wrong in it is a {@link TunesmithError} that names it. */
export function defineCudaKernel<Attrs>(
  name: string,
  run: (call: CudaCall, attrs: Attrs) => TensorInfo | TensorInfo[],
): void {
  const kernelName = `Tunesmith${name}`
  replaceCudaKernel(kernelName, ({ inputs, attrs, backend }) => {
    const cuda = backend as CudaBackend
    try {
      return cuda.runOnDevice(name, inputs, attrs ?? {}, () => run(new CudaCall(name, inputs, cuda), attrs as Attrs))
    } catch (error) {
      const { code, remedy } = error as TunesmithError
      const problem = problemOf(error as TunesmithError)
      if (isTunesmithError(error) && problem.startsWith(name)) throw error
      throw new TunesmithError(`${name}: ${problem}`, {
        code: isTunesmithError(error) ? code : 'internal',
        where: kernelName,
        remedy,
        cause: error,
      })
    }
  })
}
