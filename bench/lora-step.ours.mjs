// Our side of lora-step.mjs: a model of TinyLlama-1.1B's shape with random weights, one process per weight format.
import * as tf from '@tensorflow/tfjs-core'
import { adamWStep, selectBackend, valueAndGrads } from '@tunesmith/backend'
import { nativeMemory, setNumThreads } from '@tunesmith/backend-native'
import { packSequences } from '@tunesmith/models'
import { getPeftModel } from '@tunesmith/peft-lora'
import { randomModel } from './lib/random-model.mjs'
import { serve } from './lib/serve.mjs'

/** Tokens at a time at most. */
const MICRO_BATCH = 512

let model
let parameters
const moments = new Map()
let step = 0

async function prepare({ config, format, r, threads }) {
  await selectBackend({ backend: 'native' })
  setNumThreads(threads)
  model = randomModel(config, format)
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

/** Labels are the next tokens; the first `unlabelled` of a sequence and the first of all are none. */
const firstLabel = (unlabelled) => Math.max(1, unlabelled)

function microBatch(sequences, unlabelled) {
  const input = packSequences(sequences)
  const labels = new Int32Array(input.inputIds.length).fill(-100)
  for (let s = 0; s < sequences.length; s++)
    for (let t = input.cuSeqlens[s] + firstLabel(unlabelled); t < input.cuSeqlens[s + 1]; t++)
      labels[t - 1] = input.inputIds[t]
  return valueAndGrads(() => model.loss(input, labels).loss, [...parameters.values()])
}

/** One optimizer step over all sequences. */
function trainStep({ sequences, unlabelled }) {
  const start = performance.now()
  const numLabels = sequences.reduce((count, { length }) => count + length - firstLabel(unlabelled), 0)
  let loss = 0
  let total
  for (const batch of pack(sequences, MICRO_BATCH)) {
    const { value, grads } = microBatch(batch, unlabelled)
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

await serve({ prepare, step: trainStep })
