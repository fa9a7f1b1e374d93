import type { NamedTensorInfoMap, TensorInfo } from '@tensorflow/tfjs-core'
import { KERNELS, type KernelName, KernelPlan } from '@tunesmith/backend/contract'
import { type CudaAddon, STORAGE, type Value } from './addon'
import type { CudaBackend } from './backend'
import { defineCudaKernel } from './kernel-call'

/** The kernels of the contract's table: what fits it is computed by the addon, which has a function of every name. */
export function registerCudaKernels(addon: CudaAddon): void {
  for (const name of Object.keys(KERNELS) as KernelName[]) {
    const plan = new KernelPlan(name, true)
    const isList = plan.entryFields.length > 0
    const isStep = plan.entryFields.includes('param')
    const fields = isList ? [...plan.fields, 'list'] : plan.fields
    const kernel = addon.bind(name, fields, isStep ? [...plan.entryFields, 'copy'] : plan.entryFields)
    defineCudaKernel(name, (backend, inputs, attrs) => {
      const call = plan.read(inputs, attrs, backend.hand, backend.checkedInts)
      const list = isList ? listOf(plan, backend, inputs) : undefined
      const outputs = plan.outputs(call, (shape, { kind, over }) => {
        const reused = over ? reuse(backend, inputs, over) : undefined
        const storage = kind === 'activation' ? backend.device.activation : STORAGE.f32
        const { info, handle } = reused ?? backend.output(shape, 'float32', storage)
        return { info, value: handle }
      })
      if (list) call.values.push(list)
      kernel(...(call.values as Value[]))
      return outputs
    })
  }
}

/** The entries of a list one behind the other; a parameter that is trained has its bf16 copy, or 0, behind its entry. */
function listOf(plan: KernelPlan, backend: CudaBackend, inputs: NamedTensorInfoMap): Float64Array {
  const list: number[] = []
  const copies: number[] = []
  const entries = plan.entries(inputs, (x, spec) => {
    if (spec.role !== 'trained') return backend.hand(x, spec)
    const { handle, copy } = backend.tensor(x).writableParameter()
    copies.push(copy)
    return handle
  }) as number[][]
  for (let i = 0; i < entries.length; i++) {
    for (const value of entries[i]!) list.push(value)
    if (i < copies.length) list.push(copies[i]!)
  }
  return Float64Array.from(list)
}

/** The memory of an input for an output, where no other tensor has it and the input is not read in another role. */
function reuse(backend: CudaBackend, inputs: NamedTensorInfoMap, name: string) {
  const x = inputs[name] as TensorInfo | undefined
  if (!x || Object.values(inputs).filter((other) => other?.dataId === x.dataId).length > 1) return undefined
  return backend.reuse(x)
}
