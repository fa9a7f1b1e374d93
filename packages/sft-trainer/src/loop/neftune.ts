import * as tf from '@tensorflow/tfjs-core'
import { Random } from '@tunesmith/core'
import type { ForwardOptions } from '@tunesmith/models'

/**
 * NEFTune (Jain et al. 2023): uniform noise in `±alpha / sqrt(length * hidden)` on the token embeddings while training.
 *
 * `length` is each sequence's own. transformers takes the padded length of the batch, which makes a sequence's noise
 * depend on its neighbours.
 */
export function neftune(alpha: number): NonNullable<ForwardOptions['onEmbeddings']> {
  return (embeddings, { cuSeqlens, seed }) => {
    const noise = noiseOf(cuSeqlens, embeddings.shape[1], alpha, seed)
    return tf.add(embeddings, tf.tensor2d(noise, embeddings.shape))
  }
}

/** `[tokens * hidden]` */
export function noiseOf(cuSeqlens: ArrayLike<number>, hidden: number, alpha: number, seed: number): Float32Array {
  const random = new Random(seed, 'neftune')
  const noise = new Float32Array(cuSeqlens[cuSeqlens.length - 1]! * hidden)
  for (let s = 0; s + 1 < cuSeqlens.length; s++) {
    const [start, end] = [cuSeqlens[s]!, cuSeqlens[s + 1]!]
    const step = (2 * alpha) / Math.sqrt((end - start) * hidden) / 2 ** 32
    const half = step * 2 ** 31
    for (let i = start * hidden; i < end * hidden; i++) noise[i] = random.uint32() * step - half
  }
  return noise
}
