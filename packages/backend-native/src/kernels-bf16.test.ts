// The kernels' tests once more with products in bfloat16, where the processor has them.
import { testOn } from '@tunesmith/backend/testing/kernels/harness'
import { afterAll, describe } from 'vitest'
import { loadAddon } from './addon'
import { registerNativeBackend, setNumThreads } from './index'

const there = ['amx', 'avx512_bf16'].includes(loadAddon().isa())
if (!there) console.log('skipped: this processor has no products in bf16')

describe.runIf(there)('products in bf16', async () => {
  testOn({
    name: 'native',
    register: () => registerNativeBackend({ precision: 'bf16' }),
    setThreads: setNumThreads,
    tolerance: 2e-2,
    slow: true,
  })
  afterAll(() => {
    registerNativeBackend({ precision: 'f32' })
  })
  await import('@tunesmith/backend/testing/kernels/block-suite')
  await import('@tunesmith/backend/testing/kernels/linear-suite')
  await import('@tunesmith/backend/testing/kernels/training-suite')
})
