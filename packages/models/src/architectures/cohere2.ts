import { residualAdd } from '@tunesmith/backend'
import { z } from 'zod'
import { LLAMA_MODULES } from '../gguf/layout'
import { f32 } from '../gguf/values'
import { ropeConfig } from '../rope'
import type { Architecture } from './architecture'
import { layerTypes, slidingWindow } from './config-parts'
import { attention, attentionLinears, gatedMlp, mlpLinears } from './parts'

/**
 * Command R7B and Command A: attention and feed-forward side by side under one LayerNorm without a bias; three of four layers have a window
 * and rotary positions of neighbouring pairs, the fourth sees everything and has none.
 */
export const cohere2: Architecture = {
  modelType: 'cohere2',
  defaults: {
    vocab_size: 256_000,
    hidden_size: 8192,
    intermediate_size: 22_528,
    num_hidden_layers: 40,
    num_attention_heads: 64,
    max_position_embeddings: 8192,
    rms_norm_eps: 1e-5,
    tie_word_embeddings: true,
    pad_token_id: 0,
    bos_token_id: 5,
    eos_token_id: 255_001,
    sliding_window: 4096,
    sliding_window_pattern: 4,
    logit_scale: 0.0625,
  },
  keys: { layer_norm_eps: 'rms_norm_eps' },
  knownKeys: {
    harmless: {
      'what the model always is': [
        'position_embedding_type',
        'use_parallel_block',
        'use_parallel_embedding',
        'use_gated_activation',
      ],
      'the size of a head follows from the others': ['head_dim', 'rotary_pct'],
      'layer_types says it': ['order_of_interleaved_layers', 'layer_switch', '_sliding_window_pattern'],
    },
    refused: { use_qk_norm: { means: 'norms over queries and keys' } },
  },
  config(file, keys, warn) {
    const { logit_scale: logitScale, sliding_window_pattern: every } = file.read({
      logit_scale: z.number().positive(),
      sliding_window_pattern: z.number().int().positive(),
    })
    const headDim = keys.hidden_size / keys.num_attention_heads
    const surroundings = { headDim, maxPositionEmbeddings: keys.max_position_embeddings, interleaved: true }
    const rope = ropeConfig(file, surroundings, warn)
    const window = slidingWindow(file)
    return {
      headDim,
      attentionScale: headDim ** -0.5,
      attentionBias: file.flag('attention_bias'),
      logitScale,
      rope,
      layers: layerTypes(file, keys, (layer) => (layer + 1) % every !== 0).map((type) =>
        type === 'sliding_attention' && window > 0 ? { window, rope } : { rope: undefined },
      ),
    }
  },
  linears: (config, layer) => ({
    ...attentionLinears(config, layer, { qkv: config.attentionBias, o: config.attentionBias }),
    ...mlpLinears(config, layer, false),
  }),
  norms: ({ hiddenSize }) => ({ input_layernorm: hiddenSize }),
  norm: { kind: 'layer' },
  gguf: {
    architecture: 'cohere2',
    modules: LLAMA_MODULES,
    slidingWindow: true,
    layerRopes: ({ layers }) => layers.every(({ index, rope }) => ((index + 1) % 4 === 0) === (rope === undefined)),
    metadata: ({ logitScale }) => ({ logit_scale: f32(logitScale) }),
  },
  block(layer, x, step) {
    const normalized = layer.norm('input_layernorm', x)
    const attended = residualAdd(x, attention(layer, normalized, step))
    return residualAdd(attended, gatedMlp(layer, normalized))
  },
}
