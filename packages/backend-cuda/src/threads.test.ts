// The addon in several threads of one process, on the emulated device.
import { Worker } from 'node:worker_threads'
import { describe, expect, test } from 'vitest'
import { type CudaAddon, loadCudaAddon, releaseFile, STORAGE } from './addon'
import { emulateCuda } from './testing/emulated'

const there = emulateCuda('f32')

// Opens the device, uses it when it got it, and says what came of it when it is asked to end.
const PROGRAM = `
const { parentPort, workerData } = require('node:worker_threads')
const addon = require(workerData)
const attempt = (work) => {
  try {
    return work()
  } catch (error) {
    return error.code + ': ' + error.message + ' / ' + error.remedy
  }
}
const opened = attempt(() => addon.open(0, 1).name)
const handle = attempt(() => addon.allocate(1000, 0, 'worker'))
parentPort.postMessage({ opened, handle })
parentPort.once('message', () => parentPort.close())`

function start(): Worker {
  return new Worker(PROGRAM, { eval: true, execArgv: [], workerData: releaseFile('tunesmith_cuda_emulated.node') })
}
const answer = (worker: Worker) =>
  new Promise<{ opened: string; handle: number | string }>((resolve, reject) => {
    worker.once('message', resolve)
    worker.once('error', reject)
  })
function end(worker: Worker): Promise<void> {
  worker.postMessage('end')
  return new Promise((resolve) => worker.once('exit', () => resolve()))
}
const codeOf = (work: () => unknown) => {
  try {
    work()
  } catch (error) {
    return `${(error as { code: string }).code}: ${(error as Error).message}`
  }
  return 'none'
}

describe.runIf(there)('one device, several threads', () => {
  test('belongs to the thread that opened it until that ends', async () => {
    const addon: CudaAddon = loadCudaAddon()
    const first = start()
    expect(await answer(first)).toEqual({ opened: 'emulated device', handle: 1 })
    expect(codeOf(() => addon.open(0, 1))).toBe('backend: The CUDA backend is in use in another thread of this program')
    expect(codeOf(() => addon.allocate(10, STORAGE.f32, 'x'))).toBe('backend: no CUDA device was opened in this thread')
    expect(codeOf(() => addon.close())).toMatch('another thread')
    const second = start()
    expect((await answer(second)).opened).toMatch(/^backend: .* another thread .* worker thread has ended$/)
    await end(second)
    // A thread that never had the device takes nothing with it.
    expect(codeOf(() => addon.open(0, 1))).toMatch('another thread')
    await end(first)

    expect(addon.open(0, 1).emulated).toBe(true)
    expect(addon.memory().consumers.map(({ name }) => name)).not.toContain('worker')
    const handle = addon.allocate(10, STORAGE.f32, 'x')
    addon.free(handle)
    const third = start()
    expect((await answer(third)).opened).toMatch('another thread')
    await end(third)
    expect(addon.memory().live).toBeGreaterThan(0)
    addon.close()
    const fourth = start()
    expect((await answer(fourth)).opened).toBe('emulated device')
    await end(fourth)
  })
})
