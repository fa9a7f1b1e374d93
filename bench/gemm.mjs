/**
 * GFLOP/s of a linear layer on 512 tokens, against torch in float32 and in bf16 (oneDNN), and as part of the processor's peak.
 * bf16 weights with products in float32 and, where the processor has them, in bf16; NF4 weights against our bf16 ones. In the last rows
 * a trainable layer's forward and backward pass stand against a frozen one's and one product more, which is what it may cost.
 */
import * as tf from '@tensorflow/tfjs-core'
import { packedWeight, runKernel, weightAttrs, weightInputs } from '@tunesmith/backend'
import { registerNativeBackend, setNumThreads } from '@tunesmith/backend-native'
import { interleaved, pythonVenv, speedRow, startPeak, startWorker } from './lib/index.mjs'

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

/** The precisions of products that the processor has; says which it lacks. */
function precisions() {
  return ['f32', 'bf16'].filter((precision) => {
    try {
      registerNativeBackend({ precision })
      return true
    } catch (error) {
      process.stderr.write(`tunesmith: no rows of products in ${precision}: ${error.message}\n`)
      return false
    }
  })
}

/** Seconds by contender of `weights` times `x`, and the peaks in GFLOP/s, all measured in turns. */
async function raceProducts({ product, torch, peak, kinds, threads, rounds }) {
  const contenders = {
    'torch float32': () => torch('float32'),
    'torch bf16': () => torch('bf16'),
    'float32 weights': () => product('f32'),
  }
  for (const precision of kinds)
    for (const format of ['bf16', 'nf4'])
      contenders[`${format} weights, products in ${precision}`] = () => {
        registerNativeBackend({ precision })
        return product(format)
      }
  const peaks = { f32: [], bf16: [] }
  contenders.peaks = async () => {
    for (const kind of kinds) peaks[kind].push(await peak(kind, threads))
  }
  const seconds = await interleaved(contenders, { rounds })
  return { seconds, peaks: { f32: highest(peaks.f32), bf16: highest(peaks.bf16) } }
}

/** Of a limit the highest figure counts: all that disturbs makes it lower. */
const highest = (values) => (values.some((value) => value === undefined) ? undefined : Math.max(...values))

export async function run({ rounds = 7, tokens = 512, threads: wanted = '1,2' } = {}) {
  registerNativeBackend()
  await tf.setBackend('native')
  const kinds = precisions()
  const peak = await startPeak()
  const peer = startWorker(await pythonVenv(['torch']), [new URL('gemm.peer.py', import.meta.url)])
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
    const f32 = { format: 'f32' }
    const product = (format) => ofWeight('Linear', { x }, { format })
    const frozen = () => product('f32') + ofWeight('LinearGrad', { dy }, f32)
    const lookup = () => ofWeight('EmbeddingLookup', { ids }, f32)
    const training = {
      trainable: () => frozen() + timed('LinearWeightGrad', { dy, x }),
      frozen: () => frozen() + product('f32'),
      trainableTable: () => lookup() + timed('EmbeddingGrad', { dy: x, ids }, { outFeatures }),
      frozenTable: () => lookup() + product('f32'),
    }
    const name = `${tokens} x ${inFeatures} x ${outFeatures}`
    for (const threads of String(wanted).split(',').map(Number)) {
      setNumThreads(threads)
      const torch = async (dtype) => (await peer.call({ call: 'multiply', dtype, threads, repeats })).seconds
      const { seconds, peaks } = await raceProducts({ product, torch, peak, kinds, threads, rounds })
      const suffix = `${name}, ${threads} thread${threads === 1 ? '' : 's'}`
      const add = (what, mine, rest) =>
        rows.push(speedRow({ case: `${what}, ${suffix}`, seconds: { ours: mine }, amount, unit: 'GFLOP/s', ...rest }))
      const ofPeak = (mine, kind) => (peaks[kind] === undefined ? undefined : amount / mine / peaks[kind])
      const against = (what, kind, names) =>
        add(what, seconds[what], {
          peers: Object.fromEntries(names.map((each) => [each, seconds[each]])),
          ofPeak: ofPeak(seconds[what], kind),
        })
      against('float32 weights', 'f32', ['torch float32'])
      for (const kind of kinds) {
        const ofBf16 = `bf16 weights, products in ${kind}`
        against(ofBf16, kind, ['torch float32', 'torch bf16'])
        against(`nf4 weights, products in ${kind}`, kind, [ofBf16])
      }
      const times = await interleaved(training, { rounds: Math.ceil(rounds / 2) })
      const oneMore = 'frozen and one product'
      add('trainable', times.trainable, { peers: { [oneMore]: times.frozen }, amount: 3 * amount })
      add('trainable table', times.trainableTable, { peers: { [oneMore]: times.frozenTable } })
    }
    tf.dispose([x, dy, ids])
    for (const weight of Object.values(weights)) for (const t of Object.values(weightInputs(weight))) t.dispose()
  }
  peer.close()
  return { rows }
}
