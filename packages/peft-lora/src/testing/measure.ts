import * as tf from '@tensorflow/tfjs-core'
import { valueAndGrads } from '@tunesmith/backend'
import { Random } from '@tunesmith/core'
import { type CausalLM, type ForwardOptions, packSequences } from '@tunesmith/models'
import type { PeftModel } from '../peft-model'

/** Sequences of different lengths, so that boundaries matter. */
export const SEQUENCES = [
  [3, 14, 15, 9, 26, 5, 35, 8],
  [9, 7, 9, 31, 2],
  [27, 1, 8, 28, 18, 28, 4, 5, 9, 4],
]

export function logitsOf(
  model: CausalLM,
  sequences: readonly number[][] = SEQUENCES,
  adapterNames?: string[],
): Float32Array {
  const input = { ...packSequences(sequences), ...(adapterNames && { adapterNames }) }
  return tf.tidy(() => model.logits(model.forward(input)).dataSync() as Float32Array).slice()
}

export function largestDifference(a: ArrayLike<number>, b: ArrayLike<number>): number {
  if (a.length !== b.length) return Number.POSITIVE_INFINITY
  let largest = 0
  for (let i = 0; i < a.length; i++) {
    const difference = Math.abs(a[i]! - b[i]!)
    if (!(difference <= largest)) largest = difference
  }
  return largest
}

/** Moves every parameter a little, as training would. */
export function perturb(peft: PeftModel, spread = 0.1, seed = 3): void {
  for (const [key, variable] of peft.parameters()) {
    const random = new Random(seed, key)
    const noise = Float32Array.from({ length: variable.size }, () => spread * random.normal())
    tf.tidy(() => variable.assign(tf.add(variable, tf.tensor(noise, variable.shape))))
  }
}

/** Next-token labels of packed sequences. */
function labelsOf(sequences: readonly number[][]): number[] {
  return sequences.flatMap((sequence) => [...sequence.slice(1), -100])
}

/** The mean loss, summed in float64 from float32 per token. */
export function lossOf(model: CausalLM): number {
  return tf.tidy(() => {
    const { nll } = model.loss(packSequences(SEQUENCES), labelsOf(SEQUENCES))
    const values = nll.dataSync()
    return Array.from(values).reduce((sum, value) => sum + value, 0) / tokens()
  })
}

const tokens = () => labelsOf(SEQUENCES).filter((label) => label >= 0).length

export interface GradientOptions extends ForwardOptions {
  sequences?: readonly number[][]
  adapterNames?: readonly string[]
  /** Called between the forward and the backward pass. */
  between?: () => void
}

export interface Gradients {
  loss: number
  grads: Map<string, Float32Array>
}

/** The mean loss and its gradients by the adapter's parameters; leaves no tensor behind. */
export function gradientsOf(
  peft: PeftModel,
  { sequences = SEQUENCES, adapterNames, between, ...options }: GradientOptions = {},
): Gradients {
  const parameters = peft.parameters()
  const input = { ...packSequences(sequences), ...(adapterNames && { adapterNames }) }
  return tf.tidy(() => {
    const { value, grads } = valueAndGrads(() => {
      const { loss } = peft.model.loss(input, labelsOf(sequences), options)
      between?.()
      return tf.div(loss, tokens()) as tf.Scalar
    }, [...parameters.values()])
    const result = new Map<string, Float32Array>()
    ;[...parameters.keys()].forEach((key, i) => {
      result.set(key, (grads[i]!.dataSync() as Float32Array).slice())
    })
    return { loss: value.dataSync()[0]!, grads: result } as never
  }) as Gradients
}

/** The slope of the loss along a direction of one parameter, from four losses (central differences, extrapolated). */
export function slope(peft: PeftModel, variable: tf.Variable, direction: Float32Array, step: number): number {
  const start = (variable.dataSync() as Float32Array).slice()
  const at = (distance: number) => {
    const moved = start.map((value, i) => value + distance * direction[i]!)
    tf.tidy(() => variable.assign(tf.tensor(moved, variable.shape)))
    peft.baseChanged()
    return lossOf(peft.model)
  }
  const near = (at(step) - at(-step)) / (2 * step)
  const far = (at(2 * step) - at(-2 * step)) / (4 * step)
  at(0)
  return (4 * near - far) / 3
}
