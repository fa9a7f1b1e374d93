import { residualAdd } from '@tunesmith/backend'
import { LLAMA_MODULES } from '../gguf/layout'
import type { Architecture } from './architecture'
import { activationOf, sameWindows } from './config-parts'
import { attention, attentionLinears, ungatedMlp } from './parts'

/** StarCoder2: Llama with LayerNorms, biases everywhere, and a feed-forward part of two layers. */
export const starcoder2: Architecture = {
  modelType: 'starcoder2',
  defaults: {
    vocab_size: 49_152,
    hidden_size: 3072,
    intermediate_size: 12_288,
    num_hidden_layers: 30,
    num_attention_heads: 24,
    num_key_value_heads: 2,
    max_position_embeddings: 4096,
    rms_norm_eps: 1e-5,
    initializer_range: 0.018042,
    tie_word_embeddings: true,
    bos_token_id: 50_256,
    eos_token_id: 50_256,
    use_bias: true,
  },
  keys: { norm_epsilon: 'rms_norm_eps' },
  knownKeys: {
    harmless: {
      'what the model always is': ['norm_type', 'mlp_type'],
      'another name of what config.json has': ['activation_function'],
    },
  },
  dropout: ['attention_dropout', 'residual_dropout', 'embedding_dropout'],
  config: (file, keys) => ({
    hiddenAct: activationOf(file, 'hidden_act', 'gelu_pytorch_tanh'),
    layers: sameWindows(file, keys),
    attentionBias: file.flag('use_bias'),
    mlpBias: file.flag('use_bias'),
  }),
  linears: (config, layer) => ({
    ...attentionLinears(config, layer, { qkv: config.attentionBias, o: config.attentionBias }),
    'mlp.c_fc': { inFeatures: config.hiddenSize, outFeatures: layer.intermediateSize, bias: config.mlpBias },
    'mlp.c_proj': { inFeatures: layer.intermediateSize, outFeatures: config.hiddenSize, bias: config.mlpBias },
  }),
  norms: ({ hiddenSize }) => ({ input_layernorm: hiddenSize, post_attention_layernorm: hiddenSize }),
  norm: { kind: 'layer', bias: true },
  gguf: {
    architecture: 'starcoder2',
    modules: { ...LLAMA_MODULES, 'mlp.c_fc': 'ffn_up', 'mlp.c_proj': 'ffn_down' },
  },
  block(layer, x, step) {
    const attended = residualAdd(x, attention(layer, layer.norm('input_layernorm', x), step))
    const fed = ungatedMlp(layer, 'mlp.c_fc', 'mlp.c_proj', layer.norm('post_attention_layernorm', attended))
    return residualAdd(attended, fed)
  },
}
