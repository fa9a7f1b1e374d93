import type * as tf from '@tensorflow/tfjs-core'
import { denseWeight, embeddingLookup } from '@tunesmith/backend'
import type { ModelInput } from './batch'

/** Below this share of tokens that need not be computed, gathering rows costs more than it saves. */
const WORTH_SHARING = 0.1

/** Which rows of a batch stand for several tokens. Host memory only, so that checkpointed blocks can use it again. */
export interface SharedRows {
  /** `[tokens]`, the computed row of each token. */
  rowOf: Int32Array
  /** `[computed]`, the first token of each computed row. */
  tokenOf: Int32Array
}

/**
 * Finds where a sequence begins as the one before it does: in a causal model the hidden states of those tokens are the same ones.
 * (Wang and Hegde 2024, arXiv:2410.20305, do so for the prompts of pairs.)
 *
 * @returns undefined where too little is shared.
 */
export function sharedRows({ inputIds, positions, cuSeqlens }: ModelInput): SharedRows | undefined {
  const rowOf = new Int32Array(inputIds.length)
  const tokenOf: number[] = []
  for (let s = 0; s + 1 < cuSeqlens.length; s++) {
    const [start, end] = [cuSeqlens[s]!, cuSeqlens[s + 1]!]
    const before = s === 0 ? start : cuSeqlens[s - 1]!
    let same = 0
    while (before + same < start && start + same < end) {
      const [a, b] = [before + same, start + same]
      if (inputIds[a] !== inputIds[b] || positions[a] !== positions[b]) break
      rowOf[b] = rowOf[a]!
      same++
    }
    for (let t = start + same; t < end; t++) rowOf[t] = tokenOf.push(t) - 1
  }
  if (tokenOf.length > (1 - WORTH_SHARING) * inputIds.length) return undefined
  return { rowOf, tokenOf: Int32Array.from(tokenOf) }
}

/** Rows of x `[rows, width]` by index, int32 `[n]`; a row may be taken several times. Differentiable. */
export const takeRows = (x: tf.Tensor2D, index: tf.Tensor1D): tf.Tensor2D => embeddingLookup(denseWeight(x), index)
