import type { Architecture } from './architecture'
import { layerWindows } from './config-parts'
import { llama } from './llama'

/** Mistral 7B and its children (Starling, OpenChat, Zephyr): Llama without biases, with a sliding window over the keys. */
export const mistral: Architecture = {
  ...llama,
  modelType: 'mistral',
  config: (file, keys) => ({ windows: layerWindows(file, keys, () => true) }),
}
