// Our side of cuda.mjs: a model with random weights on the GPU.
import * as tf from '@tensorflow/tfjs-core'
import { adamWStep, gradNorm, linear, packedWeight, selectBackend, valueAndGrads } from '@tunesmith/backend'
import { cudaMemory, cudaReadBacks, resetCudaPeak, synchronizeCuda } from '@tunesmith/backend-native'
import { CausalLM, packSequences, parseModelConfig, streamTokens } from '@tunesmith/models'
import { getPeftModel } from '@tunesmith/peft-lora'
import { quantMap4bit } from '@tunesmith/quantization'
import { randomBf16 } from './lib/random-model.mjs'
import { serve } from './lib/serve.mjs'

const LINEARS = ['q_proj', 'k_proj', 'v_proj', 'o_proj', 'gate_proj', 'up_proj', 'down_proj']

let model
let parameters
let vocab
let step = 0
const moments = new Map()
// One block of random numbers, repeated: eight thousand million fresh ones would take longer than the bench.
let block

function randomWeight(format, outFeatures, inFeatures) {
  block ??= new Uint8Array(randomBf16(1 << 22, 1).buffer)
  const size = outFeatures * inFeatures
  const bytes = new Uint8Array(format === 'nf4' ? size / 2 : size * 2)
  for (let at = 0; at < bytes.length; at += block.length) bytes.set(block.subarray(0, bytes.length - at), at)
  if (format !== 'nf4') return packedWeight({ format, outFeatures, inFeatures, bytes })
  const absmax = new Float32Array(size / 64).fill(0.04)
  return packedWeight({ format, outFeatures, inFeatures, blockSize: 64, bytes, code: quantMap4bit('nf4'), absmax })
}

async function prepare({ config, format, r }) {
  await selectBackend({ backend: 'cuda' })
  vocab = config.vocab_size
  model = new CausalLM(parseModelConfig(config), {
    matrix: (name, outFeatures, inFeatures) =>
      randomWeight(format === 'nf4' && !name.includes('.layers.') ? 'bf16' : format, outFeatures, inFeatures),
    vector: (_, size) => tf.tensor1d(new Float32Array(size).fill(1)),
  })
  parameters = getPeftModel(model, { r, loraAlpha: 2 * r, targetModules: LINEARS }).parameters()
  for (const [name, variable] of parameters)
    moments.set(name, [tf.variable(tf.zerosLike(variable), false), tf.variable(tf.zerosLike(variable), false)])
}

const sequence = (length, seed) =>
  Array.from({ length }, (_, i) => ((Math.imul(i + 1, 40503) + seed * 7919) >>> 0) % vocab)

/** One optimizer step on one packed batch: two thirds of it a sequence, the rest another. */
function trainStep({ tokens }) {
  synchronizeCuda()
  resetCudaPeak()
  const start = performance.now()
  const first = Math.floor((tokens * 2) / 3)
  const input = packSequences([sequence(first, ++step), sequence(tokens - first, step + 1000)])
  const labels = new Int32Array(tokens).fill(-100)
  for (let s = 0; s < 2; s++)
    for (let t = input.cuSeqlens[s]; t + 1 < input.cuSeqlens[s + 1]; t++) labels[t] = input.inputIds[t + 1]
  const { value, grads } = valueAndGrads(() => model.loss(input, labels).loss, [...parameters.values()])
  const scale = 1 / (tokens - 2)
  const norm = gradNorm(grads) * scale
  const options = { lr: 2e-4, beta1: 0.9, beta2: 0.999, eps: 1e-8, weightDecay: 0, step }
  const gradScale = scale * Math.min(1, 1 / (norm + 1e-6))
  for (const [i, [name, variable]] of [...parameters].entries())
    adamWStep(variable, grads[i], ...moments.get(name), { ...options, gradScale })
  const loss = value.dataSync()[0] * scale
  tf.dispose([value, ...grads])
  synchronizeCuda()
  return { seconds: (performance.now() - start) / 1000, loss, norm, readBacks: cudaReadBacks() }
}

/** Seconds from the first new token to the last of `tokens` more. */
async function decode({ prompt, tokens }) {
  let start
  for await (const _ of streamTokens(model, [sequence(prompt, 1)], { maxNewTokens: tokens + 1, stopTokenIds: [] }))
    start ??= performance.now()
  return { seconds: (performance.now() - start) / 1000 }
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
  const weight = randomWeight('bf16', size, size)
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
const handlers = { prepare, step: trainStep, decode, ceiling, bandwidth, memory }

await serve(handlers)
