import { z } from 'zod'
import { LLAMA_MODULES } from '../gguf/layout'
import { ropeConfig } from '../rope'
import type { Architecture } from './architecture'
import { layerWindows } from './config-parts'
import { llama } from './llama'

/** SmolLM3: Llama in which every fourth layer has no rotary positions. */
export const smollm3: Architecture = {
  ...llama,
  modelType: 'smollm3',
  defaults: {
    vocab_size: 128_256,
    hidden_size: 2048,
    num_hidden_layers: 36,
    num_attention_heads: 16,
    num_key_value_heads: 4,
    max_position_embeddings: 32_768,
    bos_token_id: 128_000,
    eos_token_id: 128_001,
    pad_token_id: 128_004,
    tie_word_embeddings: true,
    no_rope_layer_interval: 4,
  },
  config(file, keys, warn) {
    const { no_rope_layers: listed, no_rope_layer_interval: interval } = file.read({
      no_rope_layers: z
        .array(z.union([z.number(), z.boolean()]))
        .length(keys.num_hidden_layers)
        .nullish(),
      no_rope_layer_interval: z.number().int().positive(),
    })
    const rotates = (layer: number) => (listed ? Boolean(listed[layer]) : (layer + 1) % interval !== 0)
    const headDim = keys.head_dim ?? keys.hidden_size / keys.num_attention_heads
    const surroundings = { headDim, maxPositionEmbeddings: keys.max_position_embeddings, theta: 2_000_000 }
    const rope = ropeConfig(file, surroundings, warn)
    const on = file.flag('use_sliding_window')
    return {
      rope,
      attentionBias: file.flag('attention_bias'),
      mlpBias: file.flag('mlp_bias'),
      layers: layerWindows(file, keys, (layer) => !rotates(layer)).map(({ window }, layer) => ({
        window: on ? window : 0,
        rope: rotates(layer) ? rope : undefined,
      })),
    }
  },
  gguf: {
    architecture: 'smollm3',
    modules: LLAMA_MODULES,
    interleavedRotary: true,
    // Which layers do not rotate is in its code.
    layerRopes: ({ layers }) => layers.every(({ index, rope }) => ((index + 1) % 4 === 0) === (rope === undefined)),
  },
}
