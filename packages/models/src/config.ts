import { invalidFile, unsupported } from '@tunesmith/core'
import { z } from 'zod'
import { architectureNames, architectureOf } from './architectures'
import { activationOf, type DecoderKeys, decoderKeys, LLAMA_DEFAULTS } from './architectures/config-parts'
import { ConfigFile, readSpecialTokens, type Warn } from './config-file'
import { CONFIG_KEYS, MULTIMODAL_KEYS } from './config-keys'
import type { ModelConfig } from './model-config'
import { ropeConfig } from './rope'

/**
 * Reads the content of a config.json: what a family's own file says of it, and the rest as for Llama.
 *
 * @param where the file, for messages.
 * A key that the file leaves out has the value that transformers gives it.
 *
 * @param warn gets a line for keys that are not known, and for token ids outside of the vocabulary. Default `console.warn`.
 * @throws {TunesmithError} `unsupported` for a `model_type` nobody has written and for keys that would change results, `invalid_file` for a key
 *   that is wrong.
 */
export function parseModelConfig(
  raw: unknown,
  where = 'config.json',
  warn: Warn = (line) => console.warn(line),
): ModelConfig {
  const modelType = modelTypeOf(new ConfigFile(raw, where))
  const { defaults, config, knownKeys = {}, rope } = architectureOf(modelType)
  const file = new ConfigFile(raw, where, { ...LLAMA_DEFAULTS, ...defaults })
  // quantization_config has a reader of its own.
  const keys = file.read({ ...decoderKeys, model_type: z.string(), quantization_config: z.unknown().optional() })
  const headDim = keys.head_dim ?? keys.hidden_size / keys.num_attention_heads
  const numKeyValueHeads = keyValueHeads(file, keys)
  if (!Number.isInteger(headDim) || keys.num_attention_heads % numKeyValueHeads !== 0)
    throw invalidFile('The attention heads do not divide evenly', { where })
  const own = config?.(file, keys) ?? {}
  const maxPositionEmbeddings = keys.max_position_embeddings
  const result: ModelConfig = {
    modelType,
    vocabSize: keys.vocab_size,
    hiddenSize: keys.hidden_size,
    intermediateSize: keys.intermediate_size,
    numHiddenLayers: keys.num_hidden_layers,
    numAttentionHeads: keys.num_attention_heads,
    numKeyValueHeads,
    headDim,
    maxPositionEmbeddings,
    rmsNormEps: keys.rms_norm_eps,
    hiddenAct: own.hiddenAct ?? activationOf(file, 'hidden_act'),
    rope: own.rope ?? ropeConfig(file, { headDim, maxPositionEmbeddings, ...rope }, warn),
    windows: new Array<number>(keys.num_hidden_layers).fill(0),
    attentionScale: headDim ** -0.5,
    attentionSoftcap: 0,
    logitSoftcap: 0,
    tieWordEmbeddings: keys.tie_word_embeddings,
    attentionBias: false,
    mlpBias: false,
    initializerRange: keys.initializer_range,
    ...readSpecialTokens(file, keys.vocab_size, warn),
    dtype: keys.dtype ?? keys.torch_dtype ?? undefined,
    raw: raw as Record<string, unknown>,
    ...own,
  }
  const remedy = 'What the weights were trained with cannot be left out: use another model'
  file.checkRest([CONFIG_KEYS, knownKeys], remedy, warn)
  return result
}

/** As many as heads where the file says nothing and the class default does not divide them: transformers makes no model of that. */
function keyValueHeads({ raw }: ConfigFile, { num_key_value_heads, num_attention_heads }: DecoderKeys): number {
  const given = Object.hasOwn(raw as object, 'num_key_value_heads')
  const fits = num_key_value_heads && num_attention_heads % num_key_value_heads === 0
  return (given || fits ? num_key_value_heads : undefined) ?? num_attention_heads
}

/** @throws {TunesmithError} `unsupported` for a type that nobody has written, and for models of more than text. */
function modelTypeOf(file: ConfigFile): string {
  const { where } = file
  const raw = file.raw as Record<string, unknown>
  const supported = architectureNames().join(', ')
  const inner = MULTIMODAL_KEYS.filter((key) => typeof raw[key] === 'object' && raw[key] !== null)
  if (inner.length > 0)
    throw unsupported(`This is a model of more than text: its configuration has ${inner.join(' and ')}`, {
      where,
      remedy: `Use a model of text alone, of one of the types ${supported}`,
    })
  if (typeof raw.fine_tune_type === 'string' || typeof raw.peft_type === 'string')
    throw invalidFile('This is the configuration of an adapter and not of a model', {
      where,
      remedy: 'Name the folder of the base model',
    })
  const { model_type: modelType } = file.read({ model_type: z.string() })
  if (architectureNames().includes(modelType)) return modelType
  throw unsupported(`The model type "${modelType}" is not supported`, {
    where,
    remedy: `Supported are ${supported}; docs/contributing/new-architecture.md shows how to add another`,
  })
}
