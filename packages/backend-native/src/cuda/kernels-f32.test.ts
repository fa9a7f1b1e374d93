// The kernels' tests, on the CUDA backend in float32. It runs its device code on the emulator of cuda/emulator; none of
// this has run on a GPU.
import { describe } from 'vitest'
import { emulateCuda } from '../testing/emulated'

describe.runIf(emulateCuda('f32'))('on the emulated CUDA backend in float32', async () => {
  await import('../kernels/block.test')
  await import('../kernels/linear.test')
  await import('../kernels/training.test')
  await import('../kernels/adamw-8bit.test')
})
