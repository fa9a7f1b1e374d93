import * as tf from '@tensorflow/tfjs-core'
import { residualAdd } from '@tunesmith/backend'
import type { StepContext } from '../step-context'
import type { Architecture, DecoderLayer } from './architecture'
import { activationOf } from './config-parts'
import { ungatedMlp } from './parts'

const MLP = ['mlp.dense_h_to_4h', 'mlp.dense_4h_to_h'] as const

/** GPT-NeoX and Pythia: LayerNorms, a quarter of each head rotates, attention and feed-forward side by side. */
export const gptNeox: Architecture = {
  modelType: 'gpt_neox',
  defaults: {
    vocab_size: 50_432,
    hidden_size: 6144,
    intermediate_size: 24_576,
    num_hidden_layers: 44,
    num_attention_heads: 64,
    num_key_value_heads: null,
    rms_norm_eps: 1e-5,
    bos_token_id: 0,
    eos_token_id: 2,
    attention_bias: true,
    use_parallel_residual: true,
  },
  keys: { layer_norm_eps: 'rms_norm_eps', rotary_pct: 'partial_rotary_factor', rotary_emb_base: 'rope_theta' },
  dropout: ['attention_dropout', 'hidden_dropout'],
  names: {
    embeddings: 'gpt_neox.embed_in',
    layers: 'gpt_neox.layers',
    norm: 'gpt_neox.final_layer_norm',
  },
  renames: [[/^embed_out\./, 'lm_head.']],
  rope: { partialRotary: 0.25 },
  config: (file, keys) => ({
    numKeyValueHeads: keys.num_attention_heads,
    hiddenAct: activationOf(file, 'hidden_act', 'gelu'),
    attentionBias: file.flag('attention_bias'),
    parallelBlock: file.flag('use_parallel_residual'),
  }),
  linears: ({ hiddenSize, attentionBias }, { intermediateSize }) => ({
    'attention.query_key_value': { inFeatures: hiddenSize, outFeatures: 3 * hiddenSize, bias: attentionBias },
    'attention.dense': { inFeatures: hiddenSize, outFeatures: hiddenSize, bias: attentionBias },
    'mlp.dense_h_to_4h': { inFeatures: hiddenSize, outFeatures: intermediateSize, bias: true },
    'mlp.dense_4h_to_h': { inFeatures: intermediateSize, outFeatures: hiddenSize, bias: true },
  }),
  norms: ({ hiddenSize }) => ({ input_layernorm: hiddenSize, post_attention_layernorm: hiddenSize }),
  norm: { kind: 'layer', bias: true },
  block(layer, x, step) {
    const attended = attend(layer, layer.norm('input_layernorm', x), step)
    if (!layer.config.parallelBlock) {
      const middle = residualAdd(x, attended)
      return residualAdd(middle, ungatedMlp(layer, ...MLP, layer.norm('post_attention_layernorm', middle)))
    }
    const fed = ungatedMlp(layer, ...MLP, layer.norm('post_attention_layernorm', x))
    return residualAdd(residualAdd(fed, attended), x)
  },
}

/** Queries, keys and values of each head lie together. */
function attend(layer: DecoderLayer, x: tf.Tensor2D, step: StepContext): tf.Tensor2D {
  const { numAttentionHeads, headDim } = layer
  const qkv = tf.reshape(layer.linear('attention.query_key_value', x), [-1, numAttentionHeads, 3 * headDim])
  const part = (index: number) =>
    tf.reshape(tf.slice(qkv, [0, 0, index * headDim], [-1, -1, headDim]), [x.shape[0], numAttentionHeads * headDim])
  const [q, k, v] = [part(0), part(1), part(2)] as [tf.Tensor2D, tf.Tensor2D, tf.Tensor2D]
  return layer.linear('attention.dense', step.attend(layer, step.rotateQueries(layer, q), step.rotate(layer, k), v))
}
