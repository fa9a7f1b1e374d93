import * as tf from '@tensorflow/tfjs-core'
import { residualAdd, swiglu } from '@tunesmith/backend'
import { LLAMA_MODULES } from '../gguf/layout'
import { u32 } from '../gguf/values'
import type { Architecture, DecoderLayer } from './architecture'
import { sameWindows } from './config-parts'
import { llama } from './llama'

const columns = (x: tf.Tensor2D, from: number, count: number): tf.Tensor2D => tf.slice2d(x, [0, from], [-1, count])

/** Phi-3 and 3.5 mini: Llama whose queries, keys and values come from one product, gate and up from another. */
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
  config: (file, keys) => ({ windows: sameWindows(file, keys) }),
  rope: { partialRotary: true, types: ['default'] },
  linears: ({ hiddenSize, intermediateSize, numAttentionHeads, numKeyValueHeads, headDim }) => {
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
    const { numAttentionHeads, numKeyValueHeads, headDim, windows } = layer.config
    const queries = numAttentionHeads * headDim
    const keys = numKeyValueHeads * headDim
    const qkv = layer.linear('self_attn.qkv_proj', layer.norm('input_layernorm', x))
    const q = step.rotate(columns(qkv, 0, queries))
    const k = step.rotate(columns(qkv, queries, keys))
    const v = columns(qkv, queries + keys, keys)
    const heads = step.attend(layer.index, q, k, v, { slidingWindow: windows[layer.index]! })
    const attended = residualAdd(x, layer.linear('self_attn.o_proj', heads))
    return residualAdd(attended, feedForward(layer, layer.norm('post_attention_layernorm', attended)))
  },
}

function feedForward(layer: DecoderLayer, x: tf.Tensor2D): tf.Tensor2D {
  const { intermediateSize, hiddenAct } = layer.config
  const both = layer.linear('mlp.gate_up_proj', x)
  const gate = columns(both, 0, intermediateSize)
  const up = columns(both, intermediateSize, intermediateSize)
  return layer.linear('mlp.down_proj', swiglu(gate, up, { activation: hiddenAct }))
}
