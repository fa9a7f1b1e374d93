import * as tf from '@tensorflow/tfjs-core'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { BACKEND_NAMES, currentBackend, selectBackend } from './index'

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

  it('refuses a name that is none, and a backend that is not there', async () => {
    await expect(selectBackend({ backend: 'cuda13' as never })).rejects.toMatchObject({ code: 'invalid_options' })
    vi.stubEnv('TUNESMITH_BACKEND', 'nativ')
    await expect(selectBackend()).rejects.toThrow('TUNESMITH_BACKEND')
  })
})
