import * as tf from '@tensorflow/tfjs-core'
import { IGNORE_INDEX } from '@tunesmith/core'
import type { CausalLM } from '@tunesmith/models'
import { packSequences } from '@tunesmith/models'
import type { Tokenizer } from '@tunesmith/tokenization'

/**
 * Perplexity of a text, in stretches of the model's context (1024 tokens at most): the exponential of the mean negative
 * log-likelihood of every token but the first of each stretch.
 */
export function textPerplexity(model: CausalLM, tokenizer: Tokenizer, text: string): number {
  const ids = tokenizer.encode(text).ids
  const stretch = Math.min(1024, model.config.maxPositionEmbeddings)
  let [nll, labels] = [0, 0]
  for (let start = 0; start + 1 < ids.length; start += stretch) {
    const part = Array.from(ids.slice(start, start + stretch))
    nll += tf.tidy(() => model.loss(packSequences([part]), [...part.slice(1), IGNORE_INDEX]).loss.dataSync()[0]!)
    labels += part.length - 1
  }
  return Math.exp(nll / Math.max(1, labels))
}
