import { residualAdd } from '@tunesmith/backend'
import { z } from 'zod'
import { count } from '../config-file'
import type { Architecture } from './architecture'
import { sameWindows } from './config-parts'
import { expertLinears, expertShapes, mixture, storedExperts } from './experts'
import { attention, attentionLinears, gatedMlp, mlpLinears } from './parts'
import { qwen3 } from './qwen3'

/** Qwen3 mixtures (30B-A3B, 235B-A22B, Coder): Qwen3 whose feed-forward parts are experts, in all layers or some. */
export const qwen3Moe: Architecture = {
  modelType: 'qwen3_moe',
  defaults: {
    vocab_size: 151_936,
    hidden_size: 2048,
    intermediate_size: 6144,
    num_hidden_layers: 24,
    num_key_value_heads: 4,
    max_position_embeddings: 32_768,
    bos_token_id: null,
    eos_token_id: null,
    moe_intermediate_size: 768,
    num_experts: 128,
    num_experts_per_tok: 8,
    decoder_sparse_step: 1,
  },
  keys: { num_local_experts: 'num_experts' },
  knownKeys: {
    harmless: {
      'it weighs a loss that output_router_logits switches on': ['router_aux_loss_coef'],
      'transformers does not read it': ['max_window_layers'],
    },
    refused: { output_router_logits: { means: 'a loss that balances the experts' } },
  },
  config(file, keys) {
    const own = file.read({
      moe_intermediate_size: count,
      num_experts: count,
      num_experts_per_tok: count,
      decoder_sparse_step: count,
      mlp_only_layers: z.array(z.number().int()).nullish(),
    })
    const isMixture = (index: number) =>
      !own.mlp_only_layers?.includes(index) && (index + 1) % own.decoder_sparse_step === 0
    const windows = file.flag('use_sliding_window') ? sameWindows(file, keys) : []
    return {
      attentionBias: file.flag('attention_bias'),
      expertsPerToken: own.num_experts_per_tok,
      normalizesExperts: file.flag('norm_topk_prob'),
      layers: Array.from({ length: keys.num_hidden_layers }, (_, index) => ({
        ...windows[index],
        ...(isMixture(index) && { numExperts: own.num_experts, intermediateSize: own.moe_intermediate_size }),
      })),
    }
  },
  stored: (name, config) =>
    storedExperts(name, config, { experts: 'mlp.experts', gate: 'gate_proj', up: 'up_proj', down: 'down_proj' }),
  linears: (config, layer) => ({
    ...attentionLinears(config, layer, { qkv: config.attentionBias, o: config.attentionBias }),
    ...(layer.numExperts > 0 ? expertLinears(config, layer) : mlpLinears(config, layer, false)),
  }),
  experts: expertShapes,
  norms: qwen3.norms,
  block(layer, x, step) {
    const attended = residualAdd(x, attention(layer, layer.norm('input_layernorm', x), step))
    const normalized = layer.norm('post_attention_layernorm', attended)
    return residualAdd(attended, layer.numExperts > 0 ? mixture(layer, normalized) : gatedMlp(layer, normalized))
  },
}
