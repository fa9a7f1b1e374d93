// Our side of lora-step.mjs: a model of TinyLlama-1.1B's shape with random weights, one process per weight format.
import { createInterface } from 'node:readline'
import * as tf from '@tensorflow/tfjs-core'
import { adamWStep, packedWeight, selectBackend, valueAndGrads } from '@tunesmith/backend'
import { nativeMemory, setNumThreads } from '@tunesmith/backend-native'
import { CausalLM, packSequences, parseModelConfig } from '@tunesmith/models'
import { getPeftModel } from '@tunesmith/peft-lora'
import { ownPeakMemory } from './lib/index.mjs'

const NF4 = Float32Array.of(
  -1,
  -0.6961928,
  -0.5250731,
  -0.3949175,
  -0.2844414,
  -0.1847734,
  -0.09105,
  0,
  0.0795803,
  0.1609302,
  0.2461123,
  0.3379152,
  0.4407098,
  0.562617,
  0.7229568,
  1,
)

/** Small random weights in a format, from a cheap generator: there are 1.1 thousand million of them. */
function randomMatrix(format, outFeatures, inFeatures, seed) {
  const size = outFeatures * inFeatures
  let state = seed
  const next = () => {
    state = (Math.imul(state, 1664525) + 1013904223) | 0
    return state >>> 8
  }
  if (format === 'nf4') {
    const bytes = new Uint8Array(size / 2)
    for (let i = 0; i < bytes.length; i++) bytes[i] = next() >>> 8
    return packedWeight({
      format,
      outFeatures,
      inFeatures,
      blockSize: 64,
      bytes,
      code: NF4,
      absmax: new Float32Array(size / 64).fill(0.04),
    })
  }
  const floats = new Float32Array(format === 'f32' ? size : 65536)
  const bits = new Uint32Array(floats.buffer)
  const halves = format === 'bf16' ? new Uint16Array(size) : undefined
  for (let from = 0; from < size; from += floats.length) {
    const count = Math.min(floats.length, size - from)
    for (let i = 0; i < count; i++) floats[i] = (next() / 2 ** 24 - 0.5) * 0.07
    if (halves) for (let i = 0; i < count; i++) halves[from + i] = bits[i] >>> 16
  }
  return packedWeight({ format, outFeatures, inFeatures, bytes: new Uint8Array((halves ?? floats).buffer) })
}

let model
let parameters
const moments = new Map()
let step = 0

async function prepare({ config, format, r, threads }) {
  await selectBackend({ backend: 'native' })
  setNumThreads(threads)
  let seed = 1
  model = new CausalLM(parseModelConfig(config), {
    // As bitsandbytes does: the head and the embedding are not quantized to 4 bits.
    matrix: (name, outFeatures, inFeatures) =>
      randomMatrix(format === 'nf4' && !name.includes('.layers.') ? 'bf16' : format, outFeatures, inFeatures, seed++),
    vector: (_, size) => tf.tensor1d(new Float32Array(size).fill(1)),
  })
  const peft = getPeftModel(model, { r, loraAlpha: 2 * r, targetModules: ['q_proj', 'v_proj'] })
  parameters = peft.parameters()
  for (const [name, variable] of parameters)
    moments.set(name, [tf.variable(tf.zerosLike(variable), false), tf.variable(tf.zerosLike(variable), false)])
}

/** Sequences end to end in micro-batches of at most `limit` tokens, the longest first into the first that has room. */
function pack(sequences, limit) {
  const bins = []
  for (const sequence of [...sequences].sort((a, b) => b.length - a.length)) {
    const fits = bins.find((bin) => bin.reduce((sum, { length }) => sum + length, sequence.length) <= limit)
    if (fits) fits.push(sequence)
    else bins.push([sequence])
  }
  return bins
}

function microBatch(sequences) {
  const input = packSequences(sequences)
  const labels = new Int32Array(input.inputIds.length).fill(-100)
  for (let s = 0; s < sequences.length; s++)
    for (let t = input.cuSeqlens[s]; t + 1 < input.cuSeqlens[s + 1]; t++) labels[t] = input.inputIds[t + 1]
  return valueAndGrads(() => model.loss(input, labels).loss, [...parameters.values()])
}

/** One optimizer step over all sequences; as many tokens at a time as the peer has in its padded one. */
function trainStep({ sequences, padTo }) {
  const start = performance.now()
  const numLabels = sequences.reduce((count, { length }) => count + length - 1, 0)
  let loss = 0
  let total
  for (const batch of pack(sequences, padTo)) {
    const { value, grads } = microBatch(batch)
    loss += value.dataSync()[0] / numLabels
    const sums = total?.map((sum, i) => tf.add(sum, grads[i]))
    tf.dispose([value, ...(total ? [...total, ...grads] : [])])
    total = sums ?? grads
  }
  step++
  const options = { lr: 2e-4, beta1: 0.9, beta2: 0.999, eps: 1e-8, weightDecay: 0, step, gradScale: 1 / numLabels }
  for (const [i, [name, variable]] of [...parameters].entries())
    adamWStep(variable, total[i], ...moments.get(name), options)
  tf.dispose(total)
  return { seconds: (performance.now() - start) / 1000, loss, tensors: tf.memory().numTensors, ...nativeMemory() }
}

const handlers = { prepare, step: trainStep, memory: () => ({ peakMemory: ownPeakMemory() }) }
for await (const line of createInterface({ input: process.stdin })) {
  const message = JSON.parse(line)
  try {
    console.log(JSON.stringify((await handlers[message.call](message)) ?? {}))
  } catch (error) {
    console.log(JSON.stringify({ error: error.stack }))
  }
}
