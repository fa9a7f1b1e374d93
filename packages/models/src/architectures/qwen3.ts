import { LLAMA_MODULES } from '../gguf/layout'
import type { Architecture } from './architecture'
import { llama } from './llama'
import { headNorms } from './parts'
import { QWEN_DEFAULTS, qwenWindows } from './qwen2'

/** Qwen3: Llama with a norm over each head's queries and keys before they rotate, and a head size of its own. */
export const qwen3: Architecture = {
  modelType: 'qwen3',
  defaults: { ...QWEN_DEFAULTS, head_dim: 128 },
  config: (file, keys) => ({ attentionBias: file.flag('attention_bias'), layers: qwenWindows(file, keys) }),
  linears: llama.linears,
  norms: (config, layer) => ({ ...llama.norms(config, layer), ...headNorms(layer) }),
  gguf: {
    architecture: 'qwen3',
    modules: { ...LLAMA_MODULES, 'self_attn.q_norm': 'attn_q_norm', 'self_attn.k_norm': 'attn_k_norm' },
  },
  block: llama.block,
}
