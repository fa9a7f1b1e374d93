import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { Worker } from 'node:worker_threads'
import { describe, expect, test } from 'vitest'

const built = new URL('../dist/index.js', import.meta.url)
const isBuilt = existsSync(fileURLToPath(built))
if (!isBuilt) console.warn('skipped: worker threads import the built package (npm run build)')

// Products, a softmax and memory that comes and goes, for a while; answers with what it computed.
const PROGRAM = `
const { parentPort, workerData } = require('node:worker_threads')
const run = async () => {
  const tf = await import(workerData.core)
  const { nativeMemory, registerNativeBackend } = await import(workerData.native)
  registerNativeBackend()
  await tf.setBackend('native')
  const made = tf.tidy(() => {
    let x = tf.tensor2d(Float32Array.from({ length: 300 * 400 }, (_, i) => Math.sin(i * workerData.seed)), [300, 400])
    for (let i = 0; i < workerData.rounds; i++) x = tf.softmax(tf.matMul(tf.matMul(x, x, false, true), x))
    return x.dataSync()
  })
  parentPort.postMessage({ made, live: nativeMemory().live })
}
run().catch((error) => parentPort.postMessage({ error: error.message }))`

function start(seed: number, rounds: number): Worker {
  const core = import.meta.resolve('@tensorflow/tfjs-core')
  // Without the test runner's own flags, which would resolve our packages to their sources.
  return new Worker(PROGRAM, { eval: true, execArgv: [], workerData: { core, native: built.href, seed, rounds } })
}

function compute(seed: number) {
  const worker = start(seed, 20)
  return new Promise<{ made: Float32Array; live: number; error?: string }>((resolve, reject) => {
    worker.once('message', resolve)
    worker.once('error', reject)
  })
}

describe.runIf(isBuilt)('in worker threads', () => {
  test('several compute at once, each with tensors of its own, and give what one alone gives', async () => {
    const alone = [await compute(1), await compute(2)]
    const together = await Promise.all([compute(1), compute(2), compute(1)])
    for (const { error, live } of [...alone, ...together]) {
      expect(error).toBeUndefined()
      expect(live).toBe(0)
    }
    expect(together.map(({ made }) => made)).toEqual([alone[0]!.made, alone[1]!.made, alone[0]!.made])
  })

  test('a thread that is ended in the middle of its work takes nothing with it', async () => {
    const workers = [1, 2].map((seed) => start(seed, 1e9))
    const meanwhile = compute(1)
    await new Promise((resolve) => setTimeout(resolve, 1500))
    await Promise.all(workers.map((worker) => worker.terminate()))
    const again = await compute(1)
    expect(again.error).toBeUndefined()
    expect((await meanwhile).made).toEqual(again.made)
  })
})
