import * as tf from '@tensorflow/tfjs-core'
import type { Random } from '@tunesmith/core'
import { type RoundTo, WEIGHT_FORMATS, type WeightFormat } from '../../contract/weight-format'
import { normals } from './harness'

export const FORMATS = WEIGHT_FORMATS
export type Format = WeightFormat

export interface TestWeight {
  inputs: Record<string, tf.Tensor>
  attrs: { format: Format; outFeatures: number; inFeatures: number; blockSize: number; roundTo: RoundTo }
  /** What the weight stands for, row-major. */
  values: Float64Array
}

const NF4 = [
  -1, -0.6961928, -0.5250731, -0.3949175, -0.2844414, -0.1847734, -0.09105, 0, 0.0795803, 0.1609302, 0.2461123,
  0.3379152, 0.4407098, 0.562617, 0.7229568, 1,
]
const FP4 = [
  0, 0.005208, 0.666667, 1, 0.333333, 0.5, 0.166667, 0.25, 0, -0.005208, -0.666667, -1, -0.333333, -0.5, -0.166667,
  -0.25,
]

function half(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1
  const exponent = (bits >> 10) & 31
  const mantissa = bits & 1023
  return exponent === 0 ? sign * mantissa * 2 ** -24 : sign * (1 + mantissa / 1024) * 2 ** (exponent - 15)
}

/** All halves that are not negative, ascending: half `i` has the bits `i`. */
const HALVES = Float64Array.from({ length: 0x7c00 }, (_, bits) => half(bits))

/** The nearest value of a 16-bit format by looking at both neighbours, ties to the even one. */
export function nearest(x: number, roundTo: RoundTo): number {
  if (roundTo === 'none' || !Number.isFinite(x)) return x
  const magnitude = Math.abs(x)
  let below = 0
  let [low, high, even] = [0, 0, true]
  if (roundTo === 'bf16') {
    const float = Float32Array.of(magnitude)
    const bits = new Uint32Array(float.buffer)
    bits[0] = bits[0]! & 0xffff0000
    even = (bits[0]! & 0x10000) === 0
    low = float[0]!
    bits[0] = bits[0]! + 0x10000
    high = float[0]!
  } else {
    for (let above = HALVES.length; below + 1 < above; ) {
      const middle = (below + above) >> 1
      if (HALVES[middle]! <= magnitude) below = middle
      else above = middle
    }
    even = below % 2 === 0
    low = HALVES[below]!
    high = HALVES[below + 1] ?? 65536
  }
  const [down, up] = [magnitude - low, high - magnitude]
  const rounded = down < up || (down === up && even) ? low : high
  return Math.sign(x) * (rounded === 65536 && roundTo === 'f16' ? Number.POSITIVE_INFINITY : rounded)
}

/** A random weight in a format, made from random bits of the format itself, so that every code occurs. */
export function randomWeight(
  random: Random,
  format: Format,
  outFeatures: number,
  inFeatures: number,
  blockSize = 64,
): TestWeight {
  const size = outFeatures * inFeatures
  const is4bit = format === 'nf4' || format === 'fp4'
  const roundTo = is4bit ? random.pick(['none', 'bf16', 'f16'] as const) : 'none'
  const attrs = { format, outFeatures, inFeatures, blockSize, roundTo }
  const values = new Float64Array(size)
  if (format === 'f32') {
    const data = normals(random, size, 0.3)
    values.set(data)
    return { inputs: { weight: tf.tensor2d(data, [outFeatures, inFeatures]) }, attrs, values }
  }
  const perWord = { bf16: 2, f16: 2, nf4: 8, fp4: 8, int8: 4 }[format]
  const words = new Int32Array(Math.ceil(size / perWord))
  const bytes = new Uint8Array(words.buffer)
  const halves = new Uint16Array(words.buffer)
  const floatBits = new Uint32Array(1)
  const float = new Float32Array(floatBits.buffer)
  if (format === 'bf16' || format === 'f16') {
    for (let i = 0; i < size; i++) {
      if (format === 'bf16') {
        float[0] = random.normal() * 0.3
        halves[i] = floatBits[0]! >>> 16
        floatBits[0] = halves[i]! << 16
        values[i] = float[0]!
      } else {
        halves[i] = (random.int(2) << 15) | (random.int(16) << 10) | random.int(1024)
        values[i] = half(halves[i]!)
      }
    }
    return { inputs: { weight: tf.tensor1d(words, 'int32') }, attrs, values }
  }
  for (let i = 0; i < bytes.length; i++) bytes[i] = random.int(256)
  const weight = tf.tensor1d(words, 'int32')
  if (format === 'int8') {
    const scale = Float32Array.from({ length: outFeatures }, () => 0.001 + 0.01 * random.uniform())
    for (let i = 0; i < size; i++) values[i] = ((bytes[i]! << 24) >> 24) * scale[Math.floor(i / inFeatures)]!
    return { inputs: { weight, scale: tf.tensor1d(scale) }, attrs, values }
  }
  const code = Float32Array.from(format === 'nf4' ? NF4 : FP4)
  const absmax = Float32Array.from({ length: Math.ceil(size / blockSize) }, () => 0.1 + random.uniform())
  for (let i = 0; i < size; i++) {
    const byte = bytes[i >> 1]!
    const value = Math.fround(code[i & 1 ? byte & 15 : byte >> 4]! * absmax[Math.floor(i / blockSize)]!)
    values[i] = nearest(value, roundTo)
  }
  return { inputs: { weight, absmax: tf.tensor1d(absmax), code: tf.tensor1d(code) }, attrs, values }
}
