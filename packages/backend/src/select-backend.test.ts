import * as tf from '@tensorflow/tfjs-core'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { BACKEND_NAMES, currentBackend, selectBackend } from './index'

const gpu = vi.hoisted(() => ({ mayHaveGpu: vi.fn(() => false), tensorFlowUsesGpu: vi.fn(() => false) }))
vi.mock('./tensorflow/gpu', () => gpu)

afterEach(() => vi.unstubAllEnvs())

describe('selectBackend', () => {
  it('takes the one that is asked for, by option before variable', async () => {
    vi.stubEnv('TUNESMITH_BACKEND', 'wasm')
    expect((await selectBackend()).name).toBe('wasm')
    const { name, portableKernels } = await selectBackend({ backend: 'cpu' })
    expect(name).toBe('cpu')
    expect(tf.getBackend()).toBe('cpu')
    expect(currentBackend()?.name).toBe('cpu')
    expect(portableKernels).toContain('TunesmithLoraLinear')
  })

  it('says why it passed over the faster ones', async () => {
    vi.stubEnv('TUNESMITH_BACKEND', '')
    const { name, passedOver } = await selectBackend({ backend: 'auto' })
    const faster = BACKEND_NAMES.slice(0, BACKEND_NAMES.indexOf(name))
    expect(passedOver.map((backend) => backend.name)).toEqual(faster)
    for (const { reason } of passedOver) expect(reason).not.toBe('')
  })

  it('takes tensorflow before native where it has a GPU, and after it where it has none', async (context) => {
    if (process.env.TUNESMITH_TEST_NO_TENSORFLOW !== '') return context.skip('no libtensorflow here')
    vi.stubEnv('TUNESMITH_BACKEND', '')
    gpu.mayHaveGpu.mockReturnValue(true)
    gpu.tensorFlowUsesGpu.mockReturnValue(true)
    const withGpu = await selectBackend()
    expect(withGpu.name).toBe('tensorflow')
    expect(withGpu.description).toContain('GPU')
    expect(withGpu.passedOver.map(({ name }) => name)).toEqual(['cuda'])
    gpu.tensorFlowUsesGpu.mockReturnValue(false)
    const without = await selectBackend()
    expect(without.passedOver.map(({ name }) => name)).not.toContain('tensorflow')
    gpu.mayHaveGpu.mockReturnValue(false)
    expect((await selectBackend()).name).toBe(without.name)
  })

  it('refuses a name that is none, and a backend that is not there', async () => {
    await expect(selectBackend({ backend: 'cuda13' as never })).rejects.toMatchObject({ code: 'invalid_options' })
    vi.stubEnv('TUNESMITH_BACKEND', 'nativ')
    await expect(selectBackend()).rejects.toThrow('TUNESMITH_BACKEND')
  })
})
