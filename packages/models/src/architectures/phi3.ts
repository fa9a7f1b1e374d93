import type * as tf from '@tensorflow/tfjs-core'
import { residualAdd } from '@tunesmith/backend'
import { LLAMA_MODULES } from '../gguf/layout'
import { u32 } from '../gguf/values'
import type { Architecture, DecoderLayer } from './architecture'
import { sameWindows } from './config-parts'
import { llama } from './llama'
import { columns, gated } from './parts'

/** Phi-3, 3.5 and 4 mini: Llama whose queries, keys and values come from one product, gate and up from another. */
export const phi3: Architecture = {
  modelType: 'phi3',
  defaults: {
    vocab_size: 32_064,
    hidden_size: 3072,
    intermediate_size: 8192,
    max_position_embeddings: 4096,
    rms_norm_eps: 1e-5,
    eos_token_id: 32_000,
    pad_token_id: 32_000,
  },
  config: (file, keys) => ({ layers: sameWindows(file, keys) }),
  rope: { partialRotary: true, types: ['default', 'longrope'] },
  linears: ({ hiddenSize }, { intermediateSize, numAttentionHeads, numKeyValueHeads, headDim }) => {
    const queries = numAttentionHeads * headDim
    const all = queries + 2 * numKeyValueHeads * headDim
    return {
      'self_attn.qkv_proj': { inFeatures: hiddenSize, outFeatures: all, bias: false },
      'self_attn.o_proj': { inFeatures: queries, outFeatures: hiddenSize, bias: false },
      'mlp.gate_up_proj': { inFeatures: hiddenSize, outFeatures: 2 * intermediateSize, bias: false },
      'mlp.down_proj': { inFeatures: intermediateSize, outFeatures: hiddenSize, bias: false },
    }
  },
  norms: llama.norms,
  gguf: {
    architecture: 'phi3',
    modules: { ...LLAMA_MODULES, 'self_attn.qkv_proj': 'attn_qkv', 'mlp.gate_up_proj': 'ffn_up' },
    metadata: ({ rope }) => ({ 'rope.scaling.original_context_length': u32(rope.originalMaxPositionEmbeddings) }),
  },
  block(layer, x, step) {
    const { numAttentionHeads, numKeyValueHeads, headDim } = layer
    const queries = numAttentionHeads * headDim
    const keys = numKeyValueHeads * headDim
    const qkv = layer.linear('self_attn.qkv_proj', layer.norm('input_layernorm', x))
    const q = step.rotateQueries(layer, columns(qkv, 0, queries))
    const k = step.rotate(layer, columns(qkv, queries, keys))
    const v = columns(qkv, queries + keys, keys)
    const attended = residualAdd(x, layer.linear('self_attn.o_proj', step.attend(layer, q, k, v)))
    return residualAdd(attended, feedForward(layer, layer.norm('post_attention_layernorm', attended)))
  },
}

function feedForward(layer: DecoderLayer, x: tf.Tensor2D): tf.Tensor2D {
  const { intermediateSize } = layer
  const both = layer.linear('mlp.gate_up_proj', x)
  const gate = columns(both, 0, intermediateSize)
  const up = columns(both, intermediateSize, intermediateSize)
  return layer.linear('mlp.down_proj', gated(layer, gate, up))
}
