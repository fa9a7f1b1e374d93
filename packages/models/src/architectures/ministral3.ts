import type { Architecture } from './architecture'
import { sameWindows } from './config-parts'
import { mistral } from './mistral'

/** Ministral 3, and Devstral and Mistral Small of its kind: Mistral with YaRN, whose queries grow with the logarithm of their position. */
export const ministral3: Architecture = {
  ...mistral,
  modelType: 'ministral3',
  defaults: {
    vocab_size: 131_072,
    intermediate_size: 14_336,
    num_hidden_layers: 34,
    num_key_value_heads: 8,
    head_dim: 128,
    max_position_embeddings: 262_144,
    rms_norm_eps: 1e-5,
    pad_token_id: 11,
    rope_parameters: {
      rope_type: 'yarn',
      rope_theta: 1_000_000,
      factor: 16,
      original_max_position_embeddings: 16_384,
      beta_fast: 32,
      beta_slow: 1,
      mscale: 1,
      mscale_all_dim: 1,
      llama_4_scaling_beta: 0.1,
    },
  },
  config: (file, keys) => ({ layers: sameWindows(file, keys) }),
  rope: { queryScaling: true, harmless: ['max_position_embeddings'] },
}
