import type * as tf from '@tensorflow/tfjs-core'
import { once, record } from '../autograd/record'
import type { CausalAttentionAttrs } from '../contract/attributes'
import { runKernel } from '../engine'

/** Where the keys of each sequence lie when they are not the rows of its queries: a cache. */
export interface KeyRanges {
  /** int32 `[sequences]`, first row of each sequence in k and v. */
  kvStart: tf.Tensor1D
  /** int32 `[sequences]`, number of keys; the queries are the last positions among them. */
  kvLength: tf.Tensor1D
}

/**
 * Causal self-attention over sequences that lie end to end (Dao et al. 2022 for the arithmetic without a score matrix).
 * A query never sees another sequence.
 *
 * @param q `[tokens, numHeads * headDim]`
 * @param k `[keys, numKvHeads * headDim]`, likewise `v`; `keys` is `tokens` unless `ranges` says otherwise.
 * @param cuSeqlens int32 `[sequences + 1]`, where each sequence's queries start, and the end.
 * @param ranges for decoding with a cache; there is no gradient with it.
 * @returns `[tokens, numHeads * headDim]`
 */
export function causalAttention(
  q: tf.Tensor2D,
  k: tf.Tensor2D,
  v: tf.Tensor2D,
  cuSeqlens: tf.Tensor1D,
  { slidingWindow = 0, softcap = 0, rounded = false, ...rest }: CausalAttentionAttrs,
  ranges?: KeyRanges,
): tf.Tensor2D {
  const attrs = { ...rest, slidingWindow, softcap, rounded }
  const [y, lse] = record({
    name: 'CausalAttention',
    inputs: ranges ? {} : { q, k, v },
    forward: () => runKernel('TunesmithCausalAttention', { q, k, v, cuSeqlens, ...ranges }, attrs),
    save: ([out, lse]) => [q, k, v, out!, lse!, cuSeqlens],
    gradient: (dout, [q, k, v, out, lse, cuSeqlens]) => {
      const inputs = { dout, q, k, v, out, lse, cuSeqlens }
      const grads = once(() => runKernel('TunesmithCausalAttentionGrad', inputs, attrs))
      return { q: () => grads()[0]!, k: () => grads()[1]!, v: () => grads()[2]! }
    },
  })
  lse!.dispose()
  return y as tf.Tensor2D
}
