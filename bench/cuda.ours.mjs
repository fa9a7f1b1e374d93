// Our side of cuda.mjs and of cuda-plan.mjs: one model on the GPU, or on the dry device.
import * as tf from '@tensorflow/tfjs-core'
import { linear } from '@tunesmith/backend'
import {
  cudaMemory,
  cudaReadBacks,
  resetCudaPeak,
  startCudaProfile,
  stopCudaProfile,
  synchronizeCuda,
} from '@tunesmith/backend-cuda'
import { streamTokens } from '@tunesmith/models'
import { loraModel, madeWeight, sequence, trainStep } from './lib/cuda-model.mjs'
import { serve } from './lib/serve.mjs'

let made
let steps = 0

async function prepare(message) {
  made = await loraModel(message)
  return { live: cudaMemory().live }
}

/** Seconds of one optimizer step, with the device idle before and after. */
function step({ tokens }) {
  synchronizeCuda()
  resetCudaPeak()
  const start = performance.now()
  const { loss, norm } = trainStep(made, tokens, ++steps)
  synchronizeCuda()
  return { seconds: (performance.now() - start) / 1000, loss, norm, readBacks: cudaReadBacks() }
}

// Of repeated work on a thread that waits for nothing: what other programs and the garbage collector add is left out.
const quick = (seconds) => [...seconds].sort((a, b) => a - b)[Math.floor(seconds.length / 4)]

/** Seconds of processor time, all threads of this process; of wall time where that is less. */
const clock = () => {
  const { user, system } = process.cpuUsage()
  return { processor: (user + system) / 1e6, wall: performance.now() / 1000 }
}
const since = (start) => Math.min(clock().processor - start.processor, clock().wall - start.wall)

/** The quicker quarter of many steps after as many to warm up: what the JavaScript thread takes for one by itself. */
function submission({ tokens, rounds }) {
  for (let i = 0; i < rounds; i++) step({ tokens })
  const times = Array.from({ length: rounds }, () => {
    const start = clock()
    step({ tokens })
    return since(start)
  })
  return { seconds: quick(times) }
}

/** One step under the profiler, after one without it that settles the memory. */
function profile({ tokens }) {
  step({ tokens })
  synchronizeCuda()
  resetCudaPeak()
  const start = performance.now()
  startCudaProfile()
  trainStep(made, tokens, ++steps)
  const profiled = stopCudaProfile()
  return { ...profiled, wall: (performance.now() - start) / 1000, memory: cudaMemory() }
}

/**
 * Seconds from the first new token to the last of `tokens` more, and of a quick one by itself. Under the profiler every
 * kernel of every token is submitted: a captured step would be counted once, when it is captured.
 */
async function decode({ prompt, tokens, profiled = false }) {
  if (profiled) process.env.TUNESMITH_CUDA_GRAPHS = '0'
  const ids = sequence(prompt, 1, made.model.config.vocabSize)
  const each = []
  let start
  let last
  for await (const _ of streamTokens(made.model, [ids], { maxNewTokens: tokens + 1, stopTokenIds: [] })) {
    if (last) each.push(since(last))
    else {
      start = performance.now()
      if (profiled) startCudaProfile()
    }
    last = clock()
  }
  const seconds = (performance.now() - start) / 1000
  if (profiled) delete process.env.TUNESMITH_CUDA_GRAPHS
  return { seconds, each: quick(each), ...(profiled && stopCudaProfile()) }
}

/** Repeats `work` for a while and returns the seconds of one. */
function timed(work, times) {
  work()
  synchronizeCuda()
  const start = performance.now()
  for (let i = 0; i < times; i++) work()
  synchronizeCuda()
  return (performance.now() - start) / 1000 / times
}

/** The speed of one large product, which no model's products exceed. */
function ceiling({ size }) {
  const weight = madeWeight('bf16', size, size)
  const x = tf.tidy(() => linear(tf.ones([size, size]), weight))
  const seconds = timed(() => linear(x, weight).dispose(), 10)
  tf.dispose([x, weight.weight])
  return { operationsPerSecond: (2 * size ** 3) / seconds }
}

/** Bytes read and written per second by adding two large tensors. */
function bandwidth({ bytes }) {
  const x = tf.tidy(() => tf.add(tf.ones([bytes / 4]), tf.ones([bytes / 4])))
  const seconds = timed(() => tf.add(x, x).dispose(), 10)
  x.dispose()
  return { bytesPerSecond: (2 * bytes) / seconds }
}

const memory = () => ({ peakMemory: cudaMemory().peak })
const handlers = { prepare, step, submission, profile, decode, ceiling, bandwidth, memory }

await serve(handlers)
