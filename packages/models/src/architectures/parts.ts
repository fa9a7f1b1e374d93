import * as tf from '@tensorflow/tfjs-core'
import { swiglu } from '@tunesmith/backend'
import type { ModelConfig } from '../model-config'
import type { StepContext } from '../step-context'
import type { DecoderLayer, LinearShape } from './architecture'

/** q, k, v and o of grouped-query attention. */
export function attentionLinears(
  { hiddenSize, numAttentionHeads, numKeyValueHeads, headDim }: ModelConfig,
  bias: { qkv: boolean; o: boolean },
): Record<string, LinearShape> {
  const queries = numAttentionHeads * headDim
  const keys = numKeyValueHeads * headDim
  return {
    'self_attn.q_proj': { inFeatures: hiddenSize, outFeatures: queries, bias: bias.qkv },
    'self_attn.k_proj': { inFeatures: hiddenSize, outFeatures: keys, bias: bias.qkv },
    'self_attn.v_proj': { inFeatures: hiddenSize, outFeatures: keys, bias: bias.qkv },
    'self_attn.o_proj': { inFeatures: queries, outFeatures: hiddenSize, bias: bias.o },
  }
}

/** gate, up and down of a gated feed-forward block. */
export function mlpLinears({ hiddenSize, intermediateSize }: ModelConfig, bias: boolean): Record<string, LinearShape> {
  return {
    'mlp.gate_proj': { inFeatures: hiddenSize, outFeatures: intermediateSize, bias },
    'mlp.up_proj': { inFeatures: hiddenSize, outFeatures: intermediateSize, bias },
    'mlp.down_proj': { inFeatures: intermediateSize, outFeatures: hiddenSize, bias },
  }
}

/**
 * Grouped-query attention with rotary positions. x `[tokens, hidden]`, already normalised.
 *
 * Window, scale and soft cap are those of the configuration for this layer; norms over the heads of queries and keys
 * apply when the architecture has them.
 */
export function attention(layer: DecoderLayer, x: tf.Tensor2D, step: StepContext): tf.Tensor2D {
  const q = step.rotate(headNorm(layer, 'self_attn.q_norm', layer.linear('self_attn.q_proj', x)))
  const k = step.rotate(headNorm(layer, 'self_attn.k_norm', layer.linear('self_attn.k_proj', x)))
  const v = layer.linear('self_attn.v_proj', x)
  const { windows, attentionSoftcap: softcap, attentionScale: scale } = layer.config
  return layer.linear(
    'self_attn.o_proj',
    step.attend(layer.index, q, k, v, { slidingWindow: windows[layer.index]!, softcap, scale }),
  )
}

/** Normalises each head by itself, `[tokens, heads * headDim]`. */
function headNorm(layer: DecoderLayer, name: string, x: tf.Tensor2D): tf.Tensor2D {
  if (!layer.hasNorm(name)) return x
  const { headDim } = layer.config
  return tf.reshape(layer.norm(name, tf.reshape(x, [-1, headDim])), x.shape)
}

/** `down(act(gate(x)) * up(x))`. */
export function gatedMlp(layer: DecoderLayer, x: tf.Tensor2D): tf.Tensor2D {
  const gate = layer.linear('mlp.gate_proj', x)
  const up = layer.linear('mlp.up_proj', x)
  return layer.linear('mlp.down_proj', swiglu(gate, up, { activation: layer.config.hiddenAct }))
}
