import { expect, it, vi } from 'vitest'
import { diagnoseCuda } from './diagnose-cuda'
import * as gpu from './tensorflow/gpu'

vi.mock('node:module', async (original) => ({
  ...(await original<typeof import('node:module')>()),
  // Nothing is installed beside this package.
  createRequire: () => ({
    resolve: () => {
      throw Object.assign(new Error('none'), { code: 'MODULE_NOT_FOUND' })
    },
  }),
}))

it('names the package that is not installed, and how to get it only where there may be a GPU', async () => {
  const mayHaveGpu = vi.spyOn(gpu, 'mayHaveGpu')
  mayHaveGpu.mockReturnValue(false)
  expect(await diagnoseCuda()).toEqual({ problem: '@tunesmith/backend-cuda is not installed' })
  mayHaveGpu.mockReturnValue(true)
  expect((await diagnoseCuda()).remedy).toBe('Run `npm install @tunesmith/backend-cuda`')
})
