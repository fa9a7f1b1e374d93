// On the emulated CUDA device, nothing that users do needs the CPU: an operation without a kernel would wait for the GPU,
// copy its inputs back and stop the queue of launches, in every step.
import * as tf from '@tensorflow/tfjs-core'
import { selectBackend } from '@tunesmith/backend'
import { cudaReadBacks, resetCudaReadBacks } from '@tunesmith/backend-cuda'
import { emulateCuda } from '@tunesmith/tooling/emulated-cuda'
import { beforeAll, describe, expect, it, vi } from 'vitest'
import { runWorkflow, WORKFLOWS } from '../testing/workflows'

const there = emulateCuda('bf16')
// No tensor stays on the host for being small, as those of a real model are not.
process.env.TUNESMITH_CUDA_HOST_BYTES = '0'

describe.runIf(there)('on the CUDA backend, without reading anything back', () => {
  beforeAll(async () => {
    expect((await selectBackend({ backend: 'cuda' })).name).toBe('cuda')
    vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
  })

  it.each(WORKFLOWS)('$name', async (workflow) => {
    resetCudaReadBacks()
    await runWorkflow(workflow)
    expect(cudaReadBacks()).toEqual([])
  })

  it('an operation without a kernel is noticed', () => {
    tf.tidy(() => tf.sin(tf.add(tf.ones([4]), 1)))
    expect(cudaReadBacks()).toEqual(['Sin'])
  })
})
