import { registerKernel, type TensorInfo } from '@tensorflow/tfjs-core'
import { KERNELS, type KernelName, KernelPlan } from '@tunesmith/backend/contract'
import { isTunesmithError, TunesmithError } from '@tunesmith/core'
import { type Addon, bindKernel, compute } from './addon'
import { BACKEND_NAME, type NativeBackend } from './backend'

type Call = Parameters<Parameters<typeof registerKernel>[0]['kernelFunc']>[0]

/** Registers `Tunesmith<name>`; whatever goes wrong in it is a {@link TunesmithError}. */
function define(name: KernelName, run: (call: Call, backend: NativeBackend) => TensorInfo | TensorInfo[]): void {
  const kernelName = `Tunesmith${name}`
  registerKernel({
    kernelName,
    backendName: BACKEND_NAME,
    kernelFunc: (call) => {
      try {
        return run(call, call.backend as NativeBackend)
      } catch (error) {
        if (isTunesmithError(error)) throw error
        const code = error instanceof TypeError || error instanceof RangeError ? 'invalid_data' : 'internal'
        throw new TunesmithError(`${name}: ${(error as Error).message}`, { code, where: kernelName, cause: error })
      }
    },
  })
}

/** The kernels of the contract's table: what fits it is computed by the addon, which has a function of every name. */
export function registerKernels(addon: Addon): void {
  for (const name of Object.keys(KERNELS) as KernelName[]) {
    const plan = new KernelPlan(name)
    if (name === 'GradNorm') {
      const addSquares = bindKernel(addon, name, [...plan.entryFields, 'sum'])
      define(name, ({ inputs }, { hand, output }) => {
        const sum = new Float64Array(1)
        for (const entry of plan.entries(inputs, hand)) compute(name, addSquares, [...entry, sum])
        const { info, values } = output([], 'float32')
        values[0] = Math.sqrt(sum[0]!)
        return info
      })
      continue
    }
    const kernel = bindKernel(addon, name, [...plan.fields, ...plan.entryFields])
    define(name, ({ inputs, attrs }, { hand, make }) => {
      const call = plan.read(inputs, attrs ?? {}, hand)
      const outputs = plan.outputs(call, make)
      // A list is computed entry by entry.
      if (plan.entryFields.length === 0) compute(name, kernel, call.values)
      else for (const entry of plan.entries(inputs, hand)) compute(name, kernel, [...call.values, ...entry])
      return outputs
    })
  }
}
