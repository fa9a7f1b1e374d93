import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as tf from '@tensorflow/tfjs-core'
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest'
import { diagnoseTensorFlow, selectBackend } from '../index'
import { librariesIn } from './package'
import { findPythonTensorFlow } from './python'

const missing = process.env.TUNESMITH_TEST_NO_TENSORFLOW
let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tunesmith-tf-'))
})
afterAll(() => rm(folder, { recursive: true }))
afterEach(() => vi.unstubAllEnvs())

describe.runIf(missing === '')('with a real libtensorflow', () => {
  it('finds everything, and has nothing to mend', async () => {
    const found = await diagnoseTensorFlow()
    expect(found.package).toBe('@tensorflow/tfjs-node')
    expect(found.binding?.exists).toBe(true)
    expect(found.loads).toMatchObject({ version: expect.stringMatching(/^2\.\d+/) })
    expect(found.remedy).toBeUndefined()
  })

  it('computes', async () => {
    const { name, description } = await selectBackend({ backend: 'tensorflow' })
    expect(name).toBe('tensorflow')
    expect(description).toMatch(/tfjs-node, libtensorflow 2\./)
    expect(tf.getBackend()).toBe('tensorflow')
    const product = tf.tidy(() => tf.matMul(tf.ones([2, 3]), tf.ones([3, 2])).dataSync())
    expect(Array.from(product)).toEqual([3, 3, 3, 3])
  })
})

describe('looking for libraries', () => {
  it('takes a folder only when both are there', async () => {
    expect(librariesIn(join(folder, 'nothing'))).toBeUndefined()
    await writeFile(join(folder, 'libtensorflow_cc.so.2'), '')
    expect(librariesIn(folder)).toBeUndefined()
    await writeFile(join(folder, 'libtensorflow_framework.so.2'), '')
    expect(librariesIn(folder)?.files).toHaveLength(2)
  })

  it('takes the TensorFlow of the interpreter that TUNESMITH_PYTHON names', async () => {
    const python = join(folder, 'python')
    await writeFile(python, `#!/bin/sh\necho '{"folder": "/some/where/tensorflow", "version": "2.99.0"}'\n`)
    await chmod(python, 0o755)
    vi.stubEnv('TUNESMITH_PYTHON', python)
    expect(await findPythonTensorFlow()).toEqual({ python, version: '2.99.0', folder: '/some/where/tensorflow' })
  })
})
