import type { TensorInfo } from '@tensorflow/tfjs-core'
import { type CudaCall, defineCudaKernel } from '../kernel-call'

const tensorOf = (call: CudaCall) => (call.inputs.x as TensorInfo | undefined) ?? call.fail('input "x" is missing')

/** Moving tensors between the device and pinned host memory: the seam is `offload.ts` of `@tunesmith/backend`. */
export function registerCudaMoving(): void {
  defineCudaKernel('Offload', (call) => {
    call.backend.offload(tensorOf(call))
    return []
  })

  defineCudaKernel('Prefetch', (call) => {
    call.backend.prefetch(tensorOf(call))
    return []
  })

  defineCudaKernel<{ pageable: boolean }>('OptimizerState', (call, { pageable }) => {
    call.backend.optimizerState(tensorOf(call), pageable)
    return []
  })
}
