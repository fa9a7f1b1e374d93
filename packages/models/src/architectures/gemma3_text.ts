import { z } from 'zod'
import { f32, type GgufValue } from '../gguf/values'
import { ropesByLayerType } from '../rope'
import type { Architecture } from './architecture'
import { activationOf, layerTypes, slidingWindow } from './config-parts'
import { gemma2 } from './gemma2'
import { llama } from './llama'
import { headNorms } from './parts'

/**
 * Gemma 3, 270M and 1B, and the text half of the larger ones: Gemma 2 without caps, with norms over each head's queries and keys, and five
 * layers with a window and rotary positions of their own for each that sees everything.
 */
export const gemma3Text: Architecture = {
  ...gemma2,
  modelType: 'gemma3_text',
  defaults: {
    ...gemma2.defaults,
    vocab_size: 262_208,
    max_position_embeddings: 131_072,
    attn_logit_softcapping: null,
    final_logit_softcapping: null,
    sliding_window_pattern: 6,
  },
  knownKeys: { harmless: { 'its activation is called hidden_activation': ['hidden_act', '_sliding_window_pattern'] } },
  config(file, keys, warn) {
    const softcap = z.number().positive().nullish()
    const {
      query_pre_attn_scalar,
      sliding_window_pattern: every,
      ...caps
    } = file.read({
      query_pre_attn_scalar: z.number().positive(),
      sliding_window_pattern: z.number().int().positive(),
      attn_logit_softcapping: softcap,
      final_logit_softcapping: softcap,
    })
    const types = layerTypes(file, keys, (layer) => (layer + 1) % every !== 0)
    const surroundings = { headDim: keys.head_dim ?? 256, maxPositionEmbeddings: keys.max_position_embeddings }
    const thetas = {
      full_attention: { theta: 1_000_000, key: 'rope_theta' },
      sliding_attention: { theta: 10_000, key: 'rope_local_base_freq' },
    }
    const ropes = ropesByLayerType(file, surroundings, thetas, warn)
    const window = slidingWindow(file)
    return {
      hiddenAct: activationOf(file, 'hidden_activation', 'gelu_pytorch_tanh'),
      rope: ropes.full_attention,
      layers: types.map((type) => ({ window: type === 'sliding_attention' ? window : 0, rope: ropes[type] })),
      attentionScale: query_pre_attn_scalar ** -0.5,
      attentionSoftcap: caps.attn_logit_softcapping ?? 0,
      logitSoftcap: caps.final_logit_softcapping ?? 0,
      attentionBias: file.flag('attention_bias'),
    }
  },
  linears: llama.linears,
  norms: (config, layer) => ({ ...gemma2.norms(config, layer), ...headNorms(layer) }),
  gguf: {
    architecture: 'gemma3',
    modules: { ...gemma2.gguf!.modules, 'self_attn.q_norm': 'attn_q_norm', 'self_attn.k_norm': 'attn_k_norm' },
    slidingWindow: true,
    // Its pattern of layers and the base of those with a window are in its code.
    layerRopes: ({ layers }) =>
      layers.every(({ index, window, rope }) => {
        const full = (index + 1) % 6 === 0
        return full === (window === 0) && (full || (rope?.type === 'default' && rope.theta === 10_000))
      }),
    metadata: ({ logitSoftcap }): Record<string, GgufValue> =>
      logitSoftcap === 0 ? {} : { final_logit_softcapping: f32(logitSoftcap) },
    attentionScale: ({ numHiddenLayers, hiddenSize, numAttentionHeads, headDim }) =>
      (numHiddenLayers === 62 ? hiddenSize / numAttentionHeads : headDim) ** -0.5,
  },
}
