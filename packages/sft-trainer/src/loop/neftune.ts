import * as tf from '@tensorflow/tfjs-core'
import { embeddingLookup } from '@tunesmith/backend'
import { Random } from '@tunesmith/core'
import type { CausalLM } from '@tunesmith/models'

/** Noise on the embeddings while training. */
export interface Neftune {
  /** Draws the noise of the next micro-batch; the same seed gives the same noise. */
  draw(cuSeqlens: ArrayLike<number>, seed: number): void
  /** No noise until the next draw. */
  rest(): void
  /** Takes it off the model. */
  remove(): void
}

/**
 * NEFTune (Jain et al. 2023): uniform noise in `±alpha / sqrt(length * hidden)` on the token embeddings.
 *
 * `length` is each sequence's own. transformers takes the padded length of the batch, which makes a sequence's noise
 * depend on its neighbours.
 */
export function attachNeftune(model: CausalLM, alpha: number): Neftune {
  const module = model.embedTokens
  const { hiddenSize } = model.config
  const previous = module.override
  let next: { cuSeqlens: ArrayLike<number>; seed: number } | undefined
  module.override = (ids) => {
    const embedded = previous ? previous(ids, module) : embeddingLookup(module.weight, ids)
    if (!next) return embedded
    const noise = tf.tensor2d(noiseOf(next.cuSeqlens, hiddenSize, alpha, next.seed), embedded.shape)
    return tf.add(embedded, noise)
  }
  return {
    draw(cuSeqlens, seed) {
      next = { cuSeqlens, seed }
    },
    rest() {
      next = undefined
    },
    remove() {
      module.override = previous
    },
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
