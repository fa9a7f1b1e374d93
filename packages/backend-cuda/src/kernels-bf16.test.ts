// The kernels' tests, on the CUDA backend in bfloat16, on tensor cores where the kernel uses them. It runs its device code on the emulator of cuda/emulator; none of
// this has run on a GPU.
import { describe } from 'vitest'
import { emulateCuda } from './testing/emulated'

describe.runIf(emulateCuda('bf16'))('on the emulated CUDA backend in bfloat16', async () => {
  await import('@tunesmith/backend/testing/kernels/block-suite')
  await import('@tunesmith/backend/testing/kernels/linear-suite')
  await import('@tunesmith/backend/testing/kernels/training-suite')
  await import('@tunesmith/backend/testing/kernels/adamw-8bit-suite')
})
