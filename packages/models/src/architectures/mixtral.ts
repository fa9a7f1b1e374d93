import { count } from '../config-file'
import type { Architecture } from './architecture'
import { sameWindows } from './config-parts'
import { expertLinears, expertShapes, storedExperts } from './experts'
import { llama } from './llama'
import { attentionLinears } from './parts'
import { qwen3Moe } from './qwen3_moe'

/** Mixtral 8x7B and 8x22B: Mistral whose feed-forward parts are experts, two for each token. */
export const mixtral: Architecture = {
  modelType: 'mixtral',
  defaults: {
    intermediate_size: 14_336,
    num_key_value_heads: 8,
    max_position_embeddings: 131_072,
    rms_norm_eps: 1e-5,
    num_local_experts: 8,
    num_experts_per_tok: 2,
  },
  keys: { num_experts: 'num_local_experts' },
  knownKeys: {
    harmless: { 'it weighs a loss that output_router_logits switches on': ['router_aux_loss_coef'] },
    refused: {
      output_router_logits: { means: 'a loss that balances the experts' },
      router_jitter_noise: { means: 'noise on the inputs of experts in training', neutral: [0] },
    },
  },
  rope: { theta: 1_000_000 },
  config(file, keys) {
    const own = file.read({ num_local_experts: count, num_experts_per_tok: count })
    return {
      expertsPerToken: own.num_experts_per_tok,
      normalizesExperts: true,
      layers: sameWindows(file, keys).map((layer) => ({ ...layer, numExperts: own.num_local_experts })),
    }
  },
  renames: [[/\.block_sparse_moe\.gate\./, '.mlp.gate.']],
  stored: (name, config) =>
    storedExperts(name, config, { experts: 'block_sparse_moe.experts', gate: 'w1', up: 'w3', down: 'w2' }),
  linears: (config, layer) => ({
    ...attentionLinears(config, layer, { qkv: false, o: false }),
    ...expertLinears(config, layer),
  }),
  experts: expertShapes,
  norms: llama.norms,
  block: qwen3Moe.block,
}
