import { z } from 'zod'
import type { ConfigFile } from '../config-file'
import { LLAMA_MODULES } from '../gguf/layout'
import type { Architecture } from './architecture'
import { type DecoderKeys, layerWindows } from './config-parts'
import { llama } from './llama'
import { attentionLinears, mlpLinears } from './parts'

/** Qwen names a window but switches it off beside it, and without `layer_types` it starts at a layer. */
export function qwenWindows(file: ConfigFile, keys: DecoderKeys): { window: number }[] {
  const { max_window_layers: first } = file.read({ max_window_layers: z.number().int().nonnegative() })
  const on = file.flag('use_sliding_window')
  return layerWindows(file, keys, (layer) => layer >= first).map(({ window }) => ({ window: on ? window : 0 }))
}

export const QWEN_DEFAULTS = {
  vocab_size: 151_936,
  intermediate_size: 22_016,
  num_key_value_heads: 32,
  max_position_embeddings: 32_768,
  bos_token_id: null,
  eos_token_id: null,
  sliding_window: 4096,
  max_window_layers: 28,
}

/** Qwen2 and 2.5: Llama with biases on queries, keys and values. */
export const qwen2: Architecture = {
  modelType: 'qwen2',
  defaults: QWEN_DEFAULTS,
  config: (file, keys) => ({ layers: qwenWindows(file, keys) }),
  linears: (config, layer) => ({
    ...attentionLinears(config, layer, { qkv: true, o: false }),
    ...mlpLinears(config, layer, false),
  }),
  norms: llama.norms,
  gguf: { architecture: 'qwen2', modules: LLAMA_MODULES },
  block: llama.block,
}
