import { residualAdd } from '@tunesmith/backend'
import { z } from 'zod'
import type { Architecture } from './architecture'
import { activationOf } from './config-parts'
import { columns, ungatedMlp } from './parts'

/** What the layers of GPT-2 multiply with, `[in, out]` in its files. */
const TRANSPOSED = /\.(attn\.c_attn|attn\.c_proj|mlp\.c_fc|mlp\.c_proj)\.weight$/

/** GPT-2 and its distilled, medium, large and XL variants: learned positions, LayerNorms, queries, keys and values from one product. */
export const gpt2: Architecture = {
  modelType: 'gpt2',
  defaults: {
    vocab_size: 50_257,
    hidden_size: 768,
    intermediate_size: null,
    num_hidden_layers: 12,
    num_attention_heads: 12,
    max_position_embeddings: 1024,
    rms_norm_eps: 1e-5,
    tie_word_embeddings: true,
    bos_token_id: 50_256,
    eos_token_id: 50_256,
    scale_attn_weights: true,
  },
  keys: {
    n_embd: 'hidden_size',
    n_inner: 'intermediate_size',
    n_layer: 'num_hidden_layers',
    n_head: 'num_attention_heads',
    n_positions: 'max_position_embeddings',
    layer_norm_epsilon: 'rms_norm_eps',
  },
  knownKeys: {
    harmless: {
      'another name of n_positions': ['n_ctx'],
      'for heads that classify': ['summary_type', 'summary_use_proj', 'summary_activation', 'summary_proj_to_labels'],
      'how it is computed and not what': ['reorder_and_upcast_attn'],
    },
    refused: { scale_attn_by_inverse_layer_idx: { means: 'attention scores divided by the number of the layer' } },
  },
  dropout: ['attn_pdrop', 'embd_pdrop', 'resid_pdrop'],
  names: {
    embeddings: 'transformer.wte',
    positions: 'transformer.wpe',
    layers: 'transformer.h',
    norm: 'transformer.ln_f',
  },
  renames: [[/^(?=(?:wte|wpe|h|ln_f)\.)/, 'transformer.']],
  stored: (name) => (TRANSPOSED.test(name) ? { parts: [name], transposed: true } : undefined),
  config(file, keys) {
    const { scale_attn_weights: scales } = file.read({ scale_attn_weights: z.boolean() })
    const headDim = keys.hidden_size / keys.num_attention_heads
    return {
      numKeyValueHeads: keys.num_attention_heads,
      hiddenAct: activationOf(file, 'activation_function', 'gelu_new'),
      attentionScale: scales ? headDim ** -0.5 : 1,
      layers: Array.from({ length: keys.num_hidden_layers }, () => ({ rope: undefined })),
    }
  },
  linears: ({ hiddenSize }, { intermediateSize }) => ({
    'attn.c_attn': { inFeatures: hiddenSize, outFeatures: 3 * hiddenSize, bias: true },
    'attn.c_proj': { inFeatures: hiddenSize, outFeatures: hiddenSize, bias: true },
    'mlp.c_fc': { inFeatures: hiddenSize, outFeatures: intermediateSize, bias: true },
    'mlp.c_proj': { inFeatures: intermediateSize, outFeatures: hiddenSize, bias: true },
  }),
  norms: ({ hiddenSize }) => ({ ln_1: hiddenSize, ln_2: hiddenSize }),
  norm: { kind: 'layer', bias: true },
  gguf: {
    architecture: 'gpt2',
    modules: {
      ln_1: 'attn_norm',
      'attn.c_attn': 'attn_qkv',
      'attn.c_proj': 'attn_output',
      ln_2: 'ffn_norm',
      'mlp.c_fc': 'ffn_up',
      'mlp.c_proj': 'ffn_down',
    },
  },
  block(layer, x, step) {
    const { hiddenSize } = layer.config
    const qkv = layer.linear('attn.c_attn', layer.norm('ln_1', x))
    const [q, k, v] = [0, 1, 2].map((part) => columns(qkv, part * hiddenSize, hiddenSize))
    const attended = residualAdd(x, layer.linear('attn.c_proj', step.attend(layer, q!, k!, v!)))
    return residualAdd(attended, ungatedMlp(layer, 'mlp.c_fc', 'mlp.c_proj', layer.norm('ln_2', attended)))
  },
}
