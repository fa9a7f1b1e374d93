/**
 * GFLOP/s of a linear layer on 512 tokens, float32 against torch, bf16 and NF4 weights against our own float32. In the last rows
 * a trainable layer's forward and backward pass stand against a frozen one's and one product more, which is what it may cost.
 */
import * as tf from '@tensorflow/tfjs-core'
import { packedWeight, runKernel, weightAttrs, weightInputs } from '@tunesmith/backend'
import { registerNativeBackend, setNumThreads } from '@tunesmith/backend-native'
import { interleaved, pythonVenv, speedRow, startWorker } from './lib/index.mjs'

const SHAPES = [
  [2048, 2048],
  [2048, 5632],
  [5632, 2048],
  [2048, 32000],
]

/** A weight with random bits; bf16 from random floats, so that no NaN slows or speeds anything. */
function randomWeight(format, outFeatures, inFeatures) {
  const size = outFeatures * inFeatures
  let state = 12345
  const next = () => {
    state = (Math.imul(state, 1664525) + 1013904223) | 0
    return state >>> 8
  }
  if (format === 'nf4') {
    const bytes = new Uint8Array(size / 2).map(() => next() >>> 8)
    const absmax = new Float32Array(size / 64).fill(0.1)
    const code = Float32Array.from({ length: 16 }, (_, i) => i / 7.5 - 1)
    return packedWeight({ format, outFeatures, inFeatures, blockSize: 64, bytes, absmax, code })
  }
  const floats = new Float32Array(size)
  for (let i = 0; i < size; i++) floats[i] = next() / 2 ** 24 - 0.5
  if (format === 'f32') return packedWeight({ format, outFeatures, inFeatures, bytes: new Uint8Array(floats.buffer) })
  const bits = new Uint32Array(floats.buffer)
  const halves = Uint16Array.from(bits, (value) => value >>> 16)
  return packedWeight({ format, outFeatures, inFeatures, bytes: new Uint8Array(halves.buffer) })
}

export async function run({ rounds = 7, tokens = 512, threads: wanted = '1,2' } = {}) {
  registerNativeBackend()
  await tf.setBackend('native')
  const peer = startWorker(await pythonVenv(['torch']), [new URL('gemm.peer.py', import.meta.url).pathname])
  const rows = []
  for (const [inFeatures, outFeatures] of SHAPES) {
    const weights = Object.fromEntries(
      ['f32', 'bf16', 'nf4'].map((format) => [format, randomWeight(format, outFeatures, inFeatures)]),
    )
    const x = tf.randomNormal([tokens, inFeatures])
    await peer.call({ call: 'prepare', tokens, inFeatures, outFeatures })
    const amount = (2 * tokens * inFeatures * outFeatures) / 1e9
    const repeats = Math.max(1, Math.round(20 / amount))
    const dy = tf.randomNormal([tokens, outFeatures])
    const ids = tf.tensor1d(
      Int32Array.from({ length: tokens }, (_, i) => (i * 7919) % outFeatures),
      'int32',
    )
    const timed = (kernel, inputs, attrs) => {
      const start = performance.now()
      for (let i = 0; i < repeats; i++) tf.dispose(runKernel(`Tunesmith${kernel}`, inputs, attrs))
      return (performance.now() - start) / 1000 / repeats
    }
    const ofWeight = (kernel, inputs, { format }) =>
      timed(kernel, { ...inputs, ...weightInputs(weights[format]) }, weightAttrs(weights[format]))
    const ours = (format) => () => ofWeight('Linear', { x }, { format })
    const f32 = { format: 'f32' }
    const product = ours('f32')
    const frozen = () => product() + ofWeight('LinearGrad', { dy }, f32)
    const lookup = () => ofWeight('EmbeddingLookup', { ids }, f32)
    const training = {
      trainable: () => frozen() + timed('LinearWeightGrad', { dy, x }),
      frozen: () => frozen() + product(),
      trainableTable: () => lookup() + timed('EmbeddingGrad', { dy: x, ids }, { outFeatures }),
      frozenTable: () => lookup() + product(),
    }
    const name = `${tokens} x ${inFeatures} x ${outFeatures}`
    for (const threads of String(wanted).split(',').map(Number)) {
      setNumThreads(threads)
      const torch = async () => (await peer.call({ call: 'multiply', threads, repeats })).seconds
      const seconds = await interleaved({ f32: ours('f32'), torch, bf16: ours('bf16'), nf4: ours('nf4') }, { rounds })
      const suffix = `${name}, ${threads} thread${threads === 1 ? '' : 's'}`
      const compare = (what, mine, theirs, work = amount) =>
        rows.push(
          speedRow({
            case: `${what}, ${suffix}`,
            seconds: { ours: mine, peer: theirs },
            amount: work,
            unit: 'GFLOP/s',
          }),
        )
      compare('float32 / torch', seconds.f32, seconds.torch)
      compare('bf16 / our float32', seconds.bf16, seconds.f32)
      compare('NF4 / our float32', seconds.nf4, seconds.f32)
      const times = await interleaved(training, { rounds: Math.ceil(rounds / 2) })
      compare('trainable / frozen and one product', times.trainable, times.frozen, 3 * amount)
      compare('trainable table / frozen and one product', times.trainableTable, times.frozenTable)
    }
    tf.dispose([x, dy, ids])
    for (const weight of Object.values(weights)) for (const t of Object.values(weightInputs(weight))) t.dispose()
  }
  peer.close()
  return { rows }
}
