import { LLAMA_MODULES } from '../gguf/layout'
import type { Architecture } from './architecture'
import { addScaled, attention, attentionLinears, gatedMlp, mlpLinears } from './parts'

/** Llama 2, 3, 3.1 and 3.2, TinyLlama, SmolLM: pre-norm blocks of grouped-query attention and a SwiGLU feed-forward. */
export const llama: Architecture = {
  modelType: 'llama',
  config: (file) => ({ attentionBias: file.flag('attention_bias'), mlpBias: file.flag('mlp_bias') }),
  linears: (config, layer) => ({
    ...attentionLinears(config, layer, { qkv: config.attentionBias, o: config.attentionBias }),
    ...mlpLinears(config, layer, config.mlpBias),
  }),
  norms: ({ hiddenSize }) => ({ input_layernorm: hiddenSize, post_attention_layernorm: hiddenSize }),
  gguf: { architecture: 'llama', modules: LLAMA_MODULES, interleavedRotary: true },
  block(layer, x, step) {
    const attended = addScaled(layer, x, attention(layer, layer.norm('input_layernorm', x), step))
    return addScaled(layer, attended, gatedMlp(layer, layer.norm('post_attention_layernorm', attended)))
  },
}
