import type { ModelConfig } from '../model-config'
import type { GgufValue } from './values'

/** What llama.cpp calls a family and its parts; the `gguf` of an architecture. */
export interface GgufLayout {
  /** Its name of the family: `general.architecture`. */
  architecture: string
  /** Names of modules within a layer, ours and llama.cpp's: `self_attn.q_proj` is `attn_q`. */
  modules: Readonly<Record<string, string>>
  /** It rotates neighbouring pairs instead of halves, so that the rows of queries and keys change places. Default false. */
  interleavedRotary?: boolean
  /** Keys beside those that all families have, without the family's name before them. */
  metadata?(config: ModelConfig): Record<string, GgufValue>
  /** What it multiplies attention scores with. Default `1 / sqrt(headDim)`. */
  attentionScale?(config: ModelConfig): number
  /** Whether its code has the rotary positions of this model's layers, where they differ. Default false. */
  layerRopes?(config: ModelConfig): boolean
  /** Knows a window over the keys. Default false: it reads them all. */
  slidingWindow?: boolean
}

/** llama.cpp's names for the modules of most families. */
export const LLAMA_MODULES = {
  input_layernorm: 'attn_norm',
  'self_attn.q_proj': 'attn_q',
  'self_attn.k_proj': 'attn_k',
  'self_attn.v_proj': 'attn_v',
  'self_attn.o_proj': 'attn_output',
  post_attention_layernorm: 'ffn_norm',
  'mlp.gate_proj': 'ffn_gate',
  'mlp.up_proj': 'ffn_up',
  'mlp.down_proj': 'ffn_down',
} as const
