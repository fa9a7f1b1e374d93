import type { Architecture } from './architecture'
import { llama } from './llama'
import { attentionLinears, mlpLinears } from './parts'

/** Mistral 7B and its children (Starling, OpenChat, Zephyr): Llama without biases, with a sliding window over the keys. */
export const mistral: Architecture = {
  modelType: 'mistral',
  linears: (config) => ({
    ...attentionLinears(config, { qkv: false, o: false }),
    ...mlpLinears(config, false),
  }),
  norms: llama.norms,
  usesWindow: true,
  gguf: llama.gguf,
  block: llama.block,
}
