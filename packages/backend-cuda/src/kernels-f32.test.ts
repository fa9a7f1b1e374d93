// The kernels' tests, on the CUDA backend in float32. It runs its device code on the emulator of cuda/emulator; none of
// this has run on a GPU.
import { describe } from 'vitest'
import { emulateCuda } from './testing/emulated'

describe.runIf(emulateCuda('f32'))('on the emulated CUDA backend in float32', async () => {
  await import('@tunesmith/backend/testing/kernels/block-suite')
  await import('@tunesmith/backend/testing/kernels/linear-suite')
  await import('@tunesmith/backend/testing/kernels/training-suite')
  await import('@tunesmith/backend/testing/kernels/adamw-8bit-suite')
})
