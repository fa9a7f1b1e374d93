import * as tf from '@tensorflow/tfjs-core'
import { activate, residualAdd, swiglu } from '@tunesmith/backend'
import type { LayerConfig, ModelConfig } from '../model-config'
import type { StepContext } from '../step-context'
import type { DecoderLayer, LinearShape } from './architecture'

/** q, k, v and o of grouped-query attention. */
export function attentionLinears(
  { hiddenSize }: ModelConfig,
  { numAttentionHeads, numKeyValueHeads, headDim }: LayerConfig,
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
export function mlpLinears(
  { hiddenSize }: ModelConfig,
  { intermediateSize }: LayerConfig,
  bias: boolean,
): Record<string, LinearShape> {
  return {
    'mlp.gate_proj': { inFeatures: hiddenSize, outFeatures: intermediateSize, bias },
    'mlp.up_proj': { inFeatures: hiddenSize, outFeatures: intermediateSize, bias },
    'mlp.down_proj': { inFeatures: intermediateSize, outFeatures: hiddenSize, bias },
  }
}

/** Norms over each head's queries and keys, before they rotate. */
export const headNorms = ({ headDim }: LayerConfig): Record<string, number> => ({
  'self_attn.q_norm': headDim,
  'self_attn.k_norm': headDim,
})

/**
 * Grouped-query attention with rotary positions, where the layer has them. x `[tokens, hidden]`, already normalised.
 *
 * Window, scale and soft cap are those of the configuration for this layer; norms of queries and keys, over each head or over all of
 * them, apply when the architecture has them.
 */
export function attention(layer: DecoderLayer, x: tf.Tensor2D, step: StepContext): tf.Tensor2D {
  const q = step.rotateQueries(layer, headNorm(layer, 'self_attn.q_norm', layer.linear('self_attn.q_proj', x)))
  const k = step.rotate(layer, headNorm(layer, 'self_attn.k_norm', layer.linear('self_attn.k_proj', x)))
  const v = layer.linear('self_attn.v_proj', x)
  return layer.linear('self_attn.o_proj', step.attend(layer, q, k, v))
}

/** Normalises each head by itself, `[tokens, heads * headDim]`. */
function headNorm(layer: DecoderLayer, name: string, x: tf.Tensor2D): tf.Tensor2D {
  if (!layer.hasNorm(name)) return x
  return tf.reshape(layer.norm(name, tf.reshape(x, [-1, layer.headDim])), x.shape)
}

/** `down(act(gate(x)) * up(x))`. */
export function gatedMlp(layer: DecoderLayer, x: tf.Tensor2D): tf.Tensor2D {
  const gate = layer.linear('mlp.gate_proj', x)
  const up = layer.linear('mlp.up_proj', x)
  return layer.linear('mlp.down_proj', gated(layer, gate, up))
}

/** `down(act(up(x)))`, without a gate. */
export function ungatedMlp(layer: DecoderLayer, up: string, down: string, x: tf.Tensor2D): tf.Tensor2D {
  return layer.linear(down, activate(layer.linear(up, x), layer.config.hiddenAct))
}

/** `act(gate) * up`. */
export function gated({ config: { hiddenAct } }: DecoderLayer, gate: tf.Tensor2D, up: tf.Tensor2D): tf.Tensor2D {
  if (hiddenAct === 'gelu') return tf.mul(activate(gate, hiddenAct), up)
  return swiglu(gate, up, { activation: hiddenAct })
}

/** `x + y`, with y scaled where the family does so. */
export function addScaled({ config: { residualScale } }: DecoderLayer, x: tf.Tensor2D, y: tf.Tensor2D): tf.Tensor2D {
  return residualAdd(x, residualScale === 1 ? y : tf.mul(y, residualScale))
}

/** Some columns of `[tokens, width]`. */
export const columns = (x: tf.Tensor2D, from: number, count: number): tf.Tensor2D =>
  tf.slice2d(x, [0, from], [-1, count])

/** The root of the width. A model stored in bfloat16 multiplies by the root rounded to bfloat16. */
export const gemmaScale = ({ hiddenSize, dtype }: ModelConfig): number => roundTo(Math.sqrt(hiddenSize), dtype)

/** Significant bits kept, to nearest. */
function roundTo(value: number, dtype: string | undefined): number {
  const bits = dtype === 'bfloat16' ? 8 : dtype === 'float16' ? 11 : 24
  const step = 2 ** (Math.floor(Math.log2(value)) - bits + 1)
  return Math.round(value / step) * step
}
