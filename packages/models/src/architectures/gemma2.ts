import { residualAdd } from '@tunesmith/backend'
import { z } from 'zod'
import { LLAMA_MODULES } from '../gguf/layout'
import { f32 } from '../gguf/values'
import type { Architecture } from './architecture'
import { activationOf, layerWindows } from './config-parts'
import { llama } from './llama'
import { attention, gatedMlp, gemmaScale } from './parts'

/**
 * Gemma 2: norms before and after each half of the block, scores and logits that are soft-capped, and a window over the
 * keys in every other layer. Norm weights are stored minus one.
 */
export const gemma2: Architecture = {
  modelType: 'gemma2',
  defaults: {
    vocab_size: 256_000,
    hidden_size: 2304,
    intermediate_size: 9216,
    num_hidden_layers: 26,
    num_attention_heads: 8,
    num_key_value_heads: 4,
    head_dim: 256,
    max_position_embeddings: 8192,
    pad_token_id: 0,
    eos_token_id: 1,
    bos_token_id: 2,
    tie_word_embeddings: true,
    sliding_window: 4096,
    query_pre_attn_scalar: 256,
    attn_logit_softcapping: 50,
    final_logit_softcapping: 30,
  },
  knownKeys: {
    harmless: {
      'its activation is called hidden_activation': ['hidden_act'],
      'a second name of sliding_window in old files': ['sliding_window_size'],
    },
  },
  config(file, keys) {
    const softcap = z.number().positive().nullish()
    const { query_pre_attn_scalar, attn_logit_softcapping, final_logit_softcapping } = file.read({
      query_pre_attn_scalar: z.number().positive(),
      attn_logit_softcapping: softcap,
      final_logit_softcapping: softcap,
    })
    return {
      hiddenAct: activationOf(file, 'hidden_activation', 'gelu_pytorch_tanh'),
      layers: layerWindows(file, keys, (layer) => layer % 2 === 0),
      attentionScale: query_pre_attn_scalar ** -0.5,
      attentionSoftcap: attn_logit_softcapping ?? 0,
      logitSoftcap: final_logit_softcapping ?? 0,
      attentionBias: file.flag('attention_bias'),
    }
  },
  linears: llama.linears,
  norms: ({ hiddenSize }) => ({
    input_layernorm: hiddenSize,
    post_attention_layernorm: hiddenSize,
    pre_feedforward_layernorm: hiddenSize,
    post_feedforward_layernorm: hiddenSize,
  }),
  norm: { offset: 1 },
  embeddingScale: gemmaScale,
  gguf: {
    architecture: 'gemma2',
    modules: {
      ...LLAMA_MODULES,
      post_attention_layernorm: 'post_attention_norm',
      pre_feedforward_layernorm: 'ffn_norm',
      post_feedforward_layernorm: 'post_ffw_norm',
    },
    slidingWindow: true,
    metadata: ({ attentionSoftcap, logitSoftcap }) => ({
      attn_logit_softcapping: f32(attentionSoftcap),
      final_logit_softcapping: f32(logitSoftcap),
    }),
    // The largest model is told by its layers, and scales by the width of a head in the residual stream.
    attentionScale: ({ numHiddenLayers, hiddenSize, numAttentionHeads, headDim }) =>
      (numHiddenLayers === 46 ? hiddenSize / numAttentionHeads : headDim) ** -0.5,
  },
  block(layer, x, step) {
    const attended = attention(layer, layer.norm('input_layernorm', x), step)
    const middle = residualAdd(x, layer.norm('post_attention_layernorm', attended))
    const fed = gatedMlp(layer, layer.norm('pre_feedforward_layernorm', middle))
    return residualAdd(middle, layer.norm('post_feedforward_layernorm', fed))
  },
}
