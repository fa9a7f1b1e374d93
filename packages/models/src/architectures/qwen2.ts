import { LLAMA_MODULES } from '../gguf/layout'
import type { Architecture } from './architecture'
import { llama } from './llama'
import { attentionLinears, mlpLinears } from './parts'

/** Qwen2 and 2.5: Llama with biases on queries, keys and values. */
export const qwen2: Architecture = {
  modelType: 'qwen2',
  usesWindow: true,
  linears: (config) => ({
    ...attentionLinears(config, { qkv: true, o: false }),
    ...mlpLinears(config, false),
  }),
  norms: llama.norms,
  gguf: { architecture: 'qwen2', modules: LLAMA_MODULES },
  block: llama.block,
}
