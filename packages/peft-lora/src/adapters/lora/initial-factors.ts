import * as tf from '@tensorflow/tfjs-core'
import { dequantize, disposeWeight, type WeightMatrix, withoutRecording } from '@tunesmith/backend'
import { invalidOptions, type Random, unsupported } from '@tunesmith/core'
import { quantizedMatrix } from '@tunesmith/models'
import { loftqInit, orthonormalize, timesTransposed, truncatedSvd } from '@tunesmith/quantization'
import type { AdaptableModule } from '../../adapter'
import { storeWeight } from '../../store-weight'
import { claimElements, uniform } from '../../variable'
import type { LoraConfig } from './config'

/** How A `[r, in]` and B `[out, r]` begin, and what becomes of the base weight. */
export interface InitialFactors {
  a: Float32Array
  b: Float32Array
  /** The weight without `scaling * B A`, which takes the base weight's place; absent when that stays as it is. */
  residual?: WeightMatrix
}

/** The ways that move a part of the base weight into the adapter. */
export const changesBase = ({ initLoraWeights }: LoraConfig): boolean =>
  typeof initLoraWeights === 'string' && initLoraWeights !== 'gaussian' && initLoraWeights !== 'mica'

interface Sizes {
  r: number
  scaling: number
}

/** Of a linear layer. */
export function initialFactors(
  module: AdaptableModule,
  config: LoraConfig,
  { r, scaling }: Sizes,
  random: Random,
): InitialFactors {
  const { inFeatures, outFeatures } = module.weight
  const init = config.initLoraWeights
  claimElements(r * (inFeatures + outFeatures))
  if (changesBase(config)) {
    if (r > Math.min(inFeatures, outFeatures))
      throw invalidOptions(`A weight of [${outFeatures}, ${inFeatures}] has no ${r} directions to begin from`, {
        where: module.name,
        remedy: `Choose a smaller r, or begin with true instead of "${init}"`,
      })
    const how = init === 'olora' ? olora : init === 'loftq' ? loftq : pissa
    return how(module, config, { r, scaling })
  }
  const within = (fanIn: number) => uniform(random, 1 / Math.sqrt(fanIn))
  const drawA = init === 'gaussian' ? () => random.normal() / r : within(inFeatures)
  return {
    a: Float32Array.from({ length: r * inFeatures }, drawA),
    b: Float32Array.from({ length: outFeatures * r }, init === false ? within(r) : () => 0),
  }
}

/** Of the embeddings: A `[r, vocab]` zero and B `[hidden, r]` normal, as in PEFT. */
export function initialEmbeddingFactors(
  { weight }: AdaptableModule,
  config: LoraConfig,
  { r }: Sizes,
  random: Random,
): InitialFactors {
  claimElements(r * (weight.outFeatures + weight.inFeatures))
  const normal = (size: number) => Float32Array.from({ length: size }, () => random.normal())
  const sizeOfA = r * weight.outFeatures
  const { initLoraWeights } = config
  if (changesBase(config))
    throw unsupported(`initLoraWeights "${initLoraWeights}" is for linear layers`, {
      where: 'targetModules',
      remedy: 'Leave embed_tokens out, or begin with true',
    })
  return {
    a: initLoraWeights === false ? normal(sizeOfA) : new Float32Array(sizeOfA),
    b: normal(r * weight.inFeatures),
  }
}

const dense = (weight: WeightMatrix) =>
  withoutRecording(() => tf.tidy(() => (dequantize(weight).dataSync() as Float32Array).slice()))

/** `W - scaling * B A`, stored as W is. */
function residualOf(weight: WeightMatrix, a: Float32Array, b: Float32Array, { r, scaling }: Sizes): WeightMatrix {
  return withoutRecording(() =>
    tf.tidy(() => {
      const product = tf.matMul(tf.tensor2d(b, [weight.outFeatures, r]), tf.tensor2d(a, [r, weight.inFeatures]))
      return storeWeight(tf.sub(dequantize(weight), tf.mul(product, scaling)), weight) as never
    }),
  )
}

/** Principal singular values and vectors, shared evenly between A and B. */
function pissa(module: AdaptableModule, _: LoraConfig, sizes: Sizes): InitialFactors {
  const { weight } = module
  refuseQuantized(module, 'PiSSA')
  const { outFeatures: rows, inFeatures: columns } = weight
  const { r: rank, scaling } = sizes
  const { u, s, vt } = truncatedSvd({ matrix: dense(weight), rows, columns, rank })
  const roots = s.map((value) => Math.sqrt(value / scaling))
  const a = vt.map((value, i) => value * roots[Math.floor(i / columns)]!)
  const b = u.map((value, i) => value * roots[i % rank]!)
  return { a, b, residual: residualOf(weight, a, b, sizes) }
}

/** Columns of Q and rows of R of the weight's QR decomposition. */
function olora({ weight }: AdaptableModule, _: LoraConfig, sizes: Sizes): InitialFactors {
  const { outFeatures, inFeatures } = weight
  const { r } = sizes
  const values = dense(weight)
  const first = Array.from({ length: r }, (_, k) =>
    Float64Array.from({ length: outFeatures }, (_, i) => values[i * inFeatures + k]!),
  )
  const { q } = orthonormalize(first)
  const b = Float32Array.from({ length: outFeatures * r }, (_, i) => q[i % r]![Math.floor(i / r)]!)
  const a = new Float32Array(r * inFeatures)
  for (const [k, row] of timesTransposed(values, inFeatures, q).entries()) a.set(row, k * inFeatures)
  return { a, b, residual: residualOf(weight, a, b, sizes) }
}

/** What NF4 loses of the weight; the weight becomes NF4. */
function loftq(module: AdaptableModule, config: LoraConfig, { r: rank, scaling }: Sizes): InitialFactors {
  refuseQuantized(module, 'LoftQ')
  const { outFeatures, inFeatures } = module.weight
  const made = loftqInit({
    data: dense(module.weight),
    shape: [outFeatures, inFeatures],
    rank,
    scaling,
    iterations: config.loftqConfig?.loftqIter ?? 1,
  })
  return { a: made.loraA, b: made.loraB, residual: quantizedMatrix(made.quantized) }
}

function refuseQuantized({ name, weight }: AdaptableModule, method: string): void {
  if (['f32', 'bf16', 'f16'].includes(weight.format)) return
  throw unsupported(`${method} starts from a weight in full precision, not ${weight.format}`, {
    where: name,
    remedy: 'Load the model unquantized, or use initLoraWeights: true',
  })
}

/** Puts the residual into the module; the returned function adds `scaling * B A` of the beginning again. */
export function replaceBase(module: AdaptableModule, { a, b, residual }: InitialFactors, sizes: Sizes): () => void {
  const put = (weight: WeightMatrix) => {
    const before = module.weight
    module.weight = weight
    disposeWeight(before)
  }
  const { format } = module.weight
  put(residual!)
  return () => {
    // What LoftQ quantized stays quantized: the original is not kept.
    if (module.weight.format !== format) return
    put(residualOf(module.weight, a, b, { ...sizes, scaling: -sizes.scaling }))
  }
}
