import type { Architecture } from './architecture'
import { sameWindows } from './config-parts'
import { llama } from './llama'

/** Mistral 7B and its children (Starling, OpenChat, Zephyr): Llama without biases, with a sliding window over the keys. */
export const mistral: Architecture = {
  ...llama,
  modelType: 'mistral',
  defaults: {
    intermediate_size: 14_336,
    num_key_value_heads: 8,
    max_position_embeddings: 131_072,
    sliding_window: 4096,
  },
  config: (file, keys) => ({ layers: sameWindows(file, keys) }),
}
