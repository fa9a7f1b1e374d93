import * as tf from '@tensorflow/tfjs-core'
import { record } from '../autograd/record'
import { runKernel } from '../engine'
import type { PortableKernel } from '../portable/register'

export interface RotaryEmbeddingAttrs {
  headDim: number
  /** Leading dimensions of each head that are rotated; the rest pass through. */
  rotaryDim: number
}

type KernelAttrs = RotaryEmbeddingAttrs & { inverse: boolean }

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
  const rotate = (tensor: tf.Tensor, inverse: boolean) =>
    runKernel('TunesmithRotaryEmbedding', { x: tensor, cos, sin }, { ...attrs, inverse })
  const [y] = record({
    name: 'RotaryEmbedding',
    inputs: { x },
    forward: () => rotate(x, false),
    // cos and sin live as long as the forward pass of the model; the backward pass comes later.
    save: () => [cos, sin],
    gradient: (dy, [cos, sin]) => ({
      x: () => runKernel('TunesmithRotaryEmbedding', { x: dy, cos: cos!, sin: sin! }, { ...attrs, inverse: true })[0]!,
    }),
  })
  return y as tf.Tensor2D
}

/** Flattened `[tokens, rotaryDim / 2]`, in host memory. */
export interface RotaryTables {
  cos: Float32Array
  sin: Float32Array
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
  const cos = new Float32Array(positions.length * half)
  const sin = new Float32Array(positions.length * half)
  for (let t = 0; t < positions.length; t++)
    for (let i = 0; i < half; i++) {
      const angle = Math.fround(positions[t]! * inverseFrequencies[i]!)
      cos[t * half + i] = Math.cos(angle) * scale
      sin[t * half + i] = Math.sin(angle) * scale
    }
  return { cos, sin }
}

export const rotaryEmbeddingKernels: PortableKernel<KernelAttrs>[] = [
  {
    name: 'TunesmithRotaryEmbedding',
    run: ({ x, cos, sin }, { headDim, rotaryDim, inverse }) => {
      const [tokens, width] = x!.shape as [number, number]
      const half = rotaryDim / 2
      const heads = tf.reshape(x!, [tokens, width / headDim, headDim]) as tf.Tensor3D
      const a = tf.slice3d(heads, [0, 0, 0], [-1, -1, half])
      const b = tf.slice3d(heads, [0, 0, half], [-1, -1, half])
      const c = tf.expandDims(cos!, 1)
      const s = inverse ? tf.neg(tf.expandDims(sin!, 1)) : tf.expandDims(sin!, 1)
      const parts = [tf.sub(tf.mul(a, c), tf.mul(b, s)), tf.add(tf.mul(b, c), tf.mul(a, s))]
      if (rotaryDim < headDim) parts.push(tf.slice3d(heads, [0, 0, rotaryDim], [-1, -1, headDim - rotaryDim]))
      return tf.reshape(tf.concat(parts, 2), [tokens, width])
    },
  },
]
