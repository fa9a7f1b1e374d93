import type { NamedTensorInfoMap, TensorInfo } from '@tensorflow/tfjs-core'
import { TunesmithError } from '@tunesmith/core'
import { defineCudaKernel } from './kernel-call'

function tensorOf({ x }: NamedTensorInfoMap): TensorInfo {
  if (!x) throw new TunesmithError('input "x" is missing', { code: 'invalid_data' })
  return x
}

/** Moving tensors between the device and pinned host memory: the seam is `offload.ts` of `@tunesmith/backend`. */
export function registerCudaMoving(): void {
  defineCudaKernel('Offload', (backend, inputs) => {
    backend.tensor(tensorOf(inputs)).offload()
    return []
  })

  defineCudaKernel('Prefetch', (backend, inputs) => {
    backend.tensor(tensorOf(inputs)).prefetch()
    return []
  })

  defineCudaKernel('OptimizerState', (backend, inputs, { pageable }) => {
    backend.tensor(tensorOf(inputs)).markOptimizerState(pageable as boolean)
    return []
  })
}
