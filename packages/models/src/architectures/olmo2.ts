import { residualAdd } from '@tunesmith/backend'
import { LLAMA_MODULES } from '../gguf/layout'
import type { Architecture } from './architecture'
import { attentionLinears, gatedMlp, mlpLinears } from './parts'

/** OLMo 2: Llama whose norms come after each half of the block instead of before, with norms over all queries and keys. */
export const olmo2: Architecture = {
  modelType: 'olmo2',
  // What config.json may leave out, where it differs from Llama.
  defaults: { vocab_size: 50_304, rms_norm_eps: 1e-5, bos_token_id: null, eos_token_id: 50_279, pad_token_id: 1 },
  config: (file) => ({ attentionBias: file.flag('attention_bias') }),
  linears: (config, layer) => ({
    ...attentionLinears(config, layer, { qkv: config.attentionBias, o: config.attentionBias }),
    ...mlpLinears(config, layer, false),
  }),
  norms: ({ hiddenSize }, { numAttentionHeads, numKeyValueHeads, headDim }) => ({
    'self_attn.q_norm': numAttentionHeads * headDim,
    'self_attn.k_norm': numKeyValueHeads * headDim,
    post_attention_layernorm: hiddenSize,
    post_feedforward_layernorm: hiddenSize,
  }),
  block(layer, x, step) {
    const q = step.rotateQueries(layer, layer.norm('self_attn.q_norm', layer.linear('self_attn.q_proj', x)))
    const k = step.rotate(layer, layer.norm('self_attn.k_norm', layer.linear('self_attn.k_proj', x)))
    const v = layer.linear('self_attn.v_proj', x)
    const attended = layer.linear('self_attn.o_proj', step.attend(layer, q, k, v))
    const middle = residualAdd(x, layer.norm('post_attention_layernorm', attended))
    return residualAdd(middle, layer.norm('post_feedforward_layernorm', gatedMlp(layer, middle)))
  },
  gguf: {
    architecture: 'olmo2',
    modules: {
      ...LLAMA_MODULES,
      'self_attn.q_norm': 'attn_q_norm',
      'self_attn.k_norm': 'attn_k_norm',
      post_attention_layernorm: 'post_attention_norm',
      post_feedforward_layernorm: 'post_ffw_norm',
    },
  },
}
