import { emulateCuda as emulate } from '@tunesmith/tooling/emulated-cuda'

/**
 * Points the kernels' tests at the emulated CUDA backend, or with `TUNESMITH_CUDA_DEVICE_TESTS=1` (`npm run bench:cuda`) at
 * the GPU. Must come before the backend is loaded.
 *
 * @returns false, with a printed reason, where it cannot be built.
 */
export function emulateCuda(precision: 'f32' | 'bf16'): boolean {
  process.env.TUNESMITH_TEST_BACKEND = 'cuda'
  if (precision === 'bf16') process.env.TUNESMITH_TEST_TOLERANCE = '2e-2'
  return emulate(precision)
}
