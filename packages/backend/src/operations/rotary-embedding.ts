import type * as tf from '@tensorflow/tfjs-core'
import { record } from '../autograd/record'
import type { RotaryEmbeddingAttrs } from '../contract/attributes'
import { runKernel } from '../engine'

/**
 * Rotary position embedding (Su et al. 2021) in the half-split layout of GPT-NeoX and Llama: dimension `i` of a head
 * is rotated together with `i + rotaryDim / 2`.
 *
 * @param x `[tokens, heads * headDim]`
 * @param cos `[tokens, rotaryDim / 2]`, from {@link rotaryTables}; likewise `sin`.
 * @returns `[tokens, heads * headDim]`
 */
export function rotaryEmbedding(
  x: tf.Tensor2D,
  cos: tf.Tensor2D,
  sin: tf.Tensor2D,
  attrs: RotaryEmbeddingAttrs,
): tf.Tensor2D {
  return record({
    name: 'RotaryEmbedding',
    inputs: { x },
    forward: () => runKernel('TunesmithRotaryEmbedding', { x, cos, sin }, { ...attrs, inverse: false }),
    // cos and sin live as long as the forward pass of the model; the backward pass comes later.
    save: () => [cos, sin],
    gradient: (dy, [cos, sin]) => ({
      x: () => runKernel('TunesmithRotaryEmbedding', { x: dy, cos, sin }, { ...attrs, inverse: true })[0]!,
    }),
  })[0] as tf.Tensor2D
}

/** Flattened `[tokens, rotaryDim / 2]`, in host memory. */
export interface RotaryTables {
  cos: Float32Array
  sin: Float32Array
}

// A training step must not begin with hundred thousands of cosines that the step before had too: the rows of the positions
// from 0 on are kept for the frequencies last asked for. A model may have as many kinds of rotary positions as types of layers.
const KEPT_POSITIONS = 16384
const KEPT_FREQUENCIES = 4
type Kept = RotaryTables & { frequencies: Float32Array; scale: number }
/** The last one used first. */
let kept: Kept[] = []

function fill({ cos, sin }: RotaryTables, row: number, position: number, frequencies: Float32Array, scale: number) {
  const half = frequencies.length
  for (let i = 0; i < half; i++) {
    const angle = Math.fround(position * frequencies[i]!)
    cos[row * half + i] = Math.cos(angle) * scale
    sin[row * half + i] = Math.sin(angle) * scale
  }
}

/** The rows of positions 0 to `count` at least, each at its position. */
function firstRows(count: number, frequencies: Float32Array, scale: number): RotaryTables {
  const half = frequencies.length
  const isSame = (one: Kept) =>
    one.scale === scale &&
    one.frequencies.length === half &&
    frequencies.every((frequency, i) => frequency === one.frequencies[i])
  const before = kept.find(isSame)
  const others = kept.filter((one) => one !== before)
  if (before) kept = [before, ...others]
  const known = before ? before.cos.length / half : 0
  if (before && known >= count) return before
  const rows = Math.min(KEPT_POSITIONS, Math.max(count, 2 * known))
  const tables = { cos: new Float32Array(rows * half), sin: new Float32Array(rows * half) }
  if (before) for (const key of ['cos', 'sin'] as const) tables[key].set(before[key])
  for (let position = known; position < rows; position++) fill(tables, position, position, frequencies, scale)
  const made = { ...tables, frequencies: frequencies.slice(), scale }
  kept = [made, ...others.slice(0, KEPT_FREQUENCIES - 1)]
  return made
}

/**
 * Cosines and sines of `positions[t] * inverseFrequencies[i]`, computed in float32 as transformers does.
 *
 * @param positions `[tokens]`, restarting at 0 in each sequence.
 * @param inverseFrequencies `[rotaryDim / 2]`, radians per position.
 * @param scale multiplies both (yarn's attention factor). Default 1.
 */
export function rotaryTables(positions: ArrayLike<number>, inverseFrequencies: Float32Array, scale = 1): RotaryTables {
  const half = inverseFrequencies.length
  const tables = { cos: new Float32Array(positions.length * half), sin: new Float32Array(positions.length * half) }
  let count = 0
  for (let t = 0; t < positions.length; t++)
    if (positions[t]! < KEPT_POSITIONS) count = Math.max(count, positions[t]! + 1)
  const rows = firstRows(count, inverseFrequencies, scale)
  // Positions that follow one another are one copy.
  for (let t = 0, end = 0; t < positions.length; t = end) {
    const first = positions[t]!
    const keptRow = Number.isInteger(first) && first >= 0 && first < count
    for (end = t + 1; keptRow && end < positions.length; end++)
      if (positions[end] !== first + end - t || positions[end]! >= count) break
    if (keptRow)
      for (const key of ['cos', 'sin'] as const)
        tables[key].set(rows[key].subarray(first * half, (first + end - t) * half), t * half)
    else fill(tables, t, first, inverseFrequencies, scale)
  }
  return tables
}
