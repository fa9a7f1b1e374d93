import { invalidFile, unsupported } from '@tunesmith/core'
import { z } from 'zod'
import { type ConfigFile, count } from '../config-file'
import type { Activation, LayerConfig } from '../model-config'

/** More layers than any model has; a damaged file must not make us count to a billion. */
const MOST_LAYERS = 65_536

/** The keys of config.json that mean the same in every family. */
export const decoderKeys = {
  vocab_size: count,
  hidden_size: count,
  intermediate_size: count.nullish(),
  num_hidden_layers: count.max(MOST_LAYERS),
  num_attention_heads: count,
  num_key_value_heads: count.nullish(),
  head_dim: count.nullish(),
  max_position_embeddings: count,
  rms_norm_eps: z.number().positive(),
  tie_word_embeddings: z.boolean(),
  initializer_range: z.number().positive(),
  dtype: z.string().nullish(),
  torch_dtype: z.string().nullish(),
}

/** What transformers takes for keys that a config.json leaves out: the class defaults of Llama. Other families say where theirs differ. */
export const LLAMA_DEFAULTS: Readonly<Record<string, unknown>> = {
  vocab_size: 32_000,
  hidden_size: 4096,
  intermediate_size: 11_008,
  num_hidden_layers: 32,
  num_attention_heads: 32,
  max_position_embeddings: 2048,
  rms_norm_eps: 1e-6,
  tie_word_embeddings: false,
  initializer_range: 0.02,
  bos_token_id: 1,
  eos_token_id: 2,
}
export type DecoderKeys = z.output<z.ZodObject<typeof decoderKeys>>

/** `sliding_window`; 0 for all keys. */
export const slidingWindow = (file: ConfigFile): number =>
  file.read({ sliding_window: count.nullish() }).sliding_window ?? 0

/** Layers that differ in their window alone. */
const windowed = (windows: readonly number[]): Partial<LayerConfig>[] => windows.map((window) => ({ window }))

/** `sliding_window` in all layers: the families that do not read `layer_types`. */
export const sameWindows = (file: ConfigFile, { num_hidden_layers: length }: DecoderKeys): Partial<LayerConfig>[] =>
  windowed(new Array<number>(length).fill(slidingWindow(file)))

export type LayerType = 'full_attention' | 'sliding_attention'

/** `layer_types`, or without that list, sliding where `slides` says so. */
export function layerTypes(
  file: ConfigFile,
  { num_hidden_layers: length }: DecoderKeys,
  slides: (layer: number) => boolean,
): LayerType[] {
  const { layer_types } = file.read({ layer_types: z.array(z.enum(['full_attention', 'sliding_attention'])).nullish() })
  if (!layer_types)
    return Array.from({ length }, (_, layer) => (slides(layer) ? 'sliding_attention' : 'full_attention'))
  if (layer_types.length === length) return layer_types
  throw invalidFile(`"layer_types" has ${layer_types.length} entries for ${length} layers`, {
    where: file.where,
  })
}

/**
 * Keys each layer's queries see: `sliding_window` in the layers that `layer_types` lists as sliding, or without that list in
 * those that `slides` says; 0 (all keys) elsewhere.
 */
export function layerWindows(
  file: ConfigFile,
  keys: DecoderKeys,
  slides: (layer: number) => boolean,
): { window: number }[] {
  const window = slidingWindow(file)
  return layerTypes(file, keys, slides).map((type) => ({ window: type === 'sliding_attention' ? window : 0 }))
}

const ACTIVATIONS: Record<string, Activation> = {
  silu: 'silu',
  swish: 'silu',
  gelu_pytorch_tanh: 'gelu_tanh',
  gelu_new: 'gelu_tanh',
  gelu: 'gelu',
}

/**
 * @param absent what counts when the key is absent or null. Default `silu`.
 * @throws {TunesmithError} `unsupported` for an activation that no kernel has.
 */
export function activationOf(file: ConfigFile, key: string, absent = 'silu'): Activation {
  const name = file.read({ [key]: z.string().nullish() })[key] ?? absent
  const activation = ACTIVATIONS[name]
  if (activation) return activation
  throw unsupported(`The activation "${name}" is not supported`, {
    where: file.where,
    remedy: `Supported are ${Object.keys(ACTIVATIONS).join(', ')}`,
  })
}
