import { Random } from '@tunesmith/core'
import type { TokenizedExample } from '@tunesmith/datasets'

/** A model so small that a step takes milliseconds. */
export const TINY_MODEL = {
  model_type: 'llama',
  vocab_size: 48,
  hidden_size: 32,
  intermediate_size: 64,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  max_position_embeddings: 64,
  rms_norm_eps: 1e-5,
  initializer_range: 0.2,
  tie_word_embeddings: true,
  eos_token_id: 1,
}

/** Sequences that count upwards from a random start: something to learn. */
export function countingExamples(count: number, seed = 7): TokenizedExample[] {
  const random = new Random(seed)
  return Array.from({ length: count }, () => {
    const start = 2 + random.int(20)
    const inputIds = Array.from({ length: 5 + random.int(12) }, (_, i) => start + i)
    return { inputIds, labels: inputIds.map((id, i) => (i < 2 ? -100 : id)) }
  })
}
