import type { Architecture } from './architecture'
import { layerWindows } from './config-parts'
import { llama } from './llama'
import { attentionLinears, mlpLinears } from './parts'

/** Mistral 7B and its children (Starling, OpenChat, Zephyr): Llama without biases, with a sliding window over the keys. */
export const mistral: Architecture = {
  modelType: 'mistral',
  config: (file, keys) => ({ windows: layerWindows(file, keys, () => true) }),
  linears: (config) => ({
    ...attentionLinears(config, { qkv: false, o: false }),
    ...mlpLinears(config, false),
  }),
  norms: llama.norms,
  gguf: llama.gguf,
  block: llama.block,
}
