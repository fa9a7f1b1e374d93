import { testOn } from '@tunesmith/backend/testing/kernels/harness'
import { emulateCuda as emulate } from '@tunesmith/tooling/emulated-cuda'
import { registerCudaBackend } from '../index'

/**
 * Points the kernels' tests at the emulated CUDA backend, or with `TUNESMITH_CUDA_DEVICE_TESTS=1` (`npm run bench:cuda`) at
 * the GPU. Must come before the backend is registered.
 *
 * @returns false, with a printed reason, where it cannot be built.
 */
export function emulateCuda(precision: 'f32' | 'bf16'): boolean {
  testOn({
    name: 'cuda',
    register: registerCudaBackend,
    tolerance: precision === 'bf16' ? 2e-2 : undefined,
    slow: true,
  })
  return emulate(precision)
}
