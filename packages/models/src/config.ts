import { TunesmithError } from '@tunesmith/core'
import { z } from 'zod'
import { architectureNames, architectureOf } from './architectures'
import { activationOf, decoderKeys } from './architectures/config-parts'
import { ConfigFile, readSpecialTokens } from './config-file'
import type { ModelConfig } from './model-config'
import { ropeConfig } from './rope'

/**
 * Reads the content of a config.json: what a family's own file says of it, and the rest as for Llama.
 *
 * @param where the file, for messages.
 * @throws {TunesmithError} `unsupported` for a `model_type` nobody has written, `invalid_file` for a key that is missing or wrong.
 */
export function parseModelConfig(raw: unknown, where = 'config.json'): ModelConfig {
  const { model_type: modelType } = new ConfigFile(raw, where).read({ model_type: z.string() })
  if (!architectureNames().includes(modelType))
    throw new TunesmithError(`The model type "${modelType}" is not supported`, {
      code: 'unsupported',
      where,
      remedy: `Supported are ${architectureNames().join(', ')}; docs/contributing/new-architecture.md shows how to add another`,
    })
  const { defaults, config } = architectureOf(modelType)
  const file = new ConfigFile(raw, where, defaults)
  const keys = file.read(decoderKeys)
  const headDim = keys.head_dim ?? keys.hidden_size / keys.num_attention_heads
  const numKeyValueHeads = keys.num_key_value_heads ?? keys.num_attention_heads
  if (!Number.isInteger(headDim) || keys.num_attention_heads % numKeyValueHeads !== 0)
    throw new TunesmithError('The attention heads do not divide evenly', { code: 'invalid_file', where })
  const own = config?.(file, keys) ?? {}
  return {
    modelType,
    vocabSize: keys.vocab_size,
    hiddenSize: keys.hidden_size,
    intermediateSize: keys.intermediate_size,
    numHiddenLayers: keys.num_hidden_layers,
    numAttentionHeads: keys.num_attention_heads,
    numKeyValueHeads,
    headDim,
    maxPositionEmbeddings: keys.max_position_embeddings,
    rmsNormEps: keys.rms_norm_eps,
    hiddenAct: own.hiddenAct ?? activationOf(file, 'hidden_act'),
    rope: own.rope ?? ropeConfig(file, headDim, keys.max_position_embeddings),
    windows: new Array<number>(keys.num_hidden_layers).fill(0),
    attentionScale: headDim ** -0.5,
    attentionSoftcap: 0,
    logitSoftcap: 0,
    tieWordEmbeddings: keys.tie_word_embeddings,
    attentionBias: false,
    mlpBias: false,
    initializerRange: keys.initializer_range,
    ...readSpecialTokens(file),
    dtype: keys.dtype ?? keys.torch_dtype ?? undefined,
    raw: raw as Record<string, unknown>,
    ...own,
  }
}
