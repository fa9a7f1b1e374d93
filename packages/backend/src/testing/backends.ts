import type { BackendName } from '../index'

/** The backends whose kernels are tested here; the native one is tested where it lives. */
export const testedBackends: BackendName[] = [
  'cpu',
  'wasm',
  ...(process.env.TUNESMITH_TEST_NO_TENSORFLOW === '' ? (['tensorflow'] as const) : []),
]
