import { TunesmithError } from '@tunesmith/core'
import { z } from 'zod'
import { type ConfigFile, count } from '../config-file'
import type { Activation } from '../model-config'

/** The keys of config.json that mean the same in every family, with the defaults of most. */
export const decoderKeys = {
  vocab_size: count,
  hidden_size: count,
  intermediate_size: count,
  num_hidden_layers: count,
  num_attention_heads: count,
  num_key_value_heads: count.nullish(),
  head_dim: count.nullish(),
  max_position_embeddings: count.default(2048),
  rms_norm_eps: z.number().positive().default(1e-6),
  tie_word_embeddings: z.boolean().default(false),
  initializer_range: z.number().positive().default(0.02),
  dtype: z.string().nullish(),
  torch_dtype: z.string().nullish(),
}
export type DecoderKeys = z.output<z.ZodObject<typeof decoderKeys>>

/**
 * Keys each layer's queries see: `sliding_window` in the layers that `layer_types` lists as sliding, or without that list in
 * those that `slides` says; 0 (all keys) elsewhere.
 */
export function layerWindows(
  file: ConfigFile,
  { num_hidden_layers: length }: DecoderKeys,
  slides: (layer: number) => boolean,
): number[] {
  const { sliding_window, layer_types } = file.read({
    sliding_window: count.nullish(),
    layer_types: z.array(z.string()).nullish(),
  })
  const isSliding = (layer: number) => (layer_types ? layer_types[layer] === 'sliding_attention' : slides(layer))
  return Array.from({ length }, (_, layer) => (isSliding(layer) ? (sliding_window ?? 0) : 0))
}

const ACTIVATIONS: Record<string, Activation> = {
  silu: 'silu',
  swish: 'silu',
  gelu_pytorch_tanh: 'gelu_tanh',
  gelu_new: 'gelu_tanh',
}

/**
 * @param absent what counts when the key is absent or null. Default `silu`.
 * @throws {TunesmithError} `unsupported` for an activation that no kernel has.
 */
export function activationOf(file: ConfigFile, key: string, absent = 'silu'): Activation {
  const name = file.read({ [key]: z.string().nullish() })[key] ?? absent
  const activation = ACTIVATIONS[name]
  if (activation) return activation
  throw new TunesmithError(`The activation "${name}" is not supported`, {
    code: 'unsupported',
    where: file.where,
    remedy: `Supported are ${Object.keys(ACTIVATIONS).join(', ')}`,
  })
}
