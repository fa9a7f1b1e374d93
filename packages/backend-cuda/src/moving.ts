import { invalidData } from '@tunesmith/core'
import { defineCudaKernel } from './kernel-call'
import type { TensorData } from './tensor-data'

const MOVES: Record<string, (x: TensorData, attrs: { pageable?: boolean }) => void> = {
  Offload: (x) => x.offload(),
  Prefetch: (x) => x.prefetch(),
  OptimizerState: (x, { pageable }) => x.markOptimizerState(pageable!),
}

/** Moving tensors between the device and pinned host memory: the seam is `offload.ts` of `@tunesmith/backend`. */
export function registerCudaMoving(): void {
  for (const [name, move] of Object.entries(MOVES))
    defineCudaKernel(name, (backend, { x }, attrs) => {
      if (!x) throw invalidData('input "x" is missing')
      move(backend.tensor(x), attrs)
      return []
    })
}
