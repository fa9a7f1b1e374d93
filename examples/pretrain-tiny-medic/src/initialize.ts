import * as tf from '@tensorflow/tfjs-core'
import { Random } from '@tunesmith/core'
import type { ModelConfig } from '@tunesmith/models'

/** Standard deviation of the projections of the attention, larger than the usual 0.02 so that a match counts from the start. */
const SPREAD = 0.06

/**
 * Draws the attention's weights so that a head looks for its own token and hands on what it finds: the queries of every
 * other head equal the keys, and the output projection is the transpose of the values.
 *
 * Trained models end up close to this, and a small one that starts here learns to copy from its context in a fraction
 * of the steps ("Mimetic Initialization of Self-Attention Layers", Trockman and Kolter, 2023, arXiv 2305.09828).
 */
export function initializeAttention(
  parameters: ReadonlyMap<string, tf.Variable>,
  config: ModelConfig,
  seed: number,
): void {
  const { hiddenSize, headDim, numAttentionHeads, numKeyValueHeads, numHiddenLayers } = config
  const random = new Random(seed, 'attention')
  const normal = (size: number) => Float32Array.from({ length: size }, () => SPREAD * random.normal())
  const perGroup = numAttentionHeads / numKeyValueHeads
  const width = headDim * hiddenSize
  for (let layer = 0; layer < numHiddenLayers; layer++) {
    const assign = (name: string, values: Float32Array) => {
      const variable = parameters.get(`model.layers.${layer}.self_attn.${name}.weight`)!
      tf.tidy(() => variable.assign(tf.tensor(values, variable.shape)))
    }
    const keys = normal(numKeyValueHeads * width)
    const values = normal(numKeyValueHeads * width)
    const queries = normal(numAttentionHeads * width)
    const output = new Float32Array(hiddenSize * numAttentionHeads * headDim)
    for (let head = 0; head < numAttentionHeads; head++) {
      const group = Math.floor(head / perGroup) * width
      if (head % perGroup === 0) queries.set(keys.subarray(group, group + width), head * width)
      for (let d = 0; d < headDim; d++)
        for (let h = 0; h < hiddenSize; h++)
          output[h * numAttentionHeads * headDim + head * headDim + d] = values[group + d * hiddenSize + h]!
    }
    assign('k_proj', keys)
    assign('v_proj', values)
    assign('q_proj', queries)
    assign('o_proj', output)
  }
}
