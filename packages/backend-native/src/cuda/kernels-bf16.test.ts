// The kernels' tests, on the CUDA backend in bfloat16, on tensor cores where the kernel uses them. It runs its device code on the emulator of cuda/emulator; none of
// this has run on a GPU.
import { describe } from 'vitest'
import { emulateCuda } from '../testing/emulated'

describe.runIf(emulateCuda('bf16'))('on the emulated CUDA backend in bfloat16', async () => {
  await import('../kernels/block.test')
  await import('../kernels/linear.test')
  await import('../kernels/training.test')
  await import('../kernels/adamw-8bit.test')
})
