import { invalidFile, type KnownKeys, unsupported } from '@tunesmith/core'
import { z } from 'zod'
import { architectureNames, architectureOf } from './architectures'
import { activationOf, type DecoderKeys, decoderKeys, LLAMA_DEFAULTS } from './architectures/config-parts'
import { TEXT_HALVES, TEXT_PREFIX } from './architectures/text-halves'
import { ConfigFile, readSpecialTokens, type Warn } from './config-file'
import { CONFIG_KEYS, MULTIMODAL_KEYS } from './config-keys'
import type { ModelConfig, ModuleNames } from './model-config'
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
  const whole = new ConfigFile(raw, where)
  const { modelType, text, isHalf } = textOf(whole)
  const { defaults, config, keys: names, knownKeys = {}, rope, ...architecture } = architectureOf(modelType)
  const { names: moduleNames, dropout = [] } = architecture
  const file = new ConfigFile(text, where, { ...LLAMA_DEFAULTS, ...defaults }, names)
  // quantization_config has a reader of its own.
  const keys = file.read({ ...decoderKeys, model_type: z.string(), quantization_config: z.unknown().optional() })
  const headDim = keys.head_dim ?? keys.hidden_size / keys.num_attention_heads
  const numKeyValueHeads = keyValueHeads(file, keys)
  if (!Number.isInteger(headDim) || keys.num_attention_heads % numKeyValueHeads !== 0)
    throw invalidFile('The attention heads do not divide evenly', { where })
  const { layers: ownLayers, ...own } = config?.(file, keys, warn) ?? {}
  const maxPositionEmbeddings = keys.max_position_embeddings
  const result: ModelConfig = {
    modelType,
    vocabSize: keys.vocab_size,
    hiddenSize: keys.hidden_size,
    intermediateSize: keys.intermediate_size ?? 4 * keys.hidden_size,
    numHiddenLayers: keys.num_hidden_layers,
    numAttentionHeads: keys.num_attention_heads,
    numKeyValueHeads,
    headDim,
    maxPositionEmbeddings,
    rmsNormEps: keys.rms_norm_eps,
    hiddenAct: own.hiddenAct ?? activationOf(file, 'hidden_act'),
    rope: own.rope ?? ropeConfig(file, { headDim, maxPositionEmbeddings, ...rope }, warn),
    layers: [],
    attentionScale: headDim ** -0.5,
    attentionSoftcap: 0,
    logitSoftcap: 0,
    logitScale: 1,
    residualScale: 1,
    embeddingScale: 1,
    expertsPerToken: 0,
    normalizesExperts: false,
    parallelBlock: false,
    tieWordEmbeddings: keys.tie_word_embeddings,
    attentionBias: false,
    mlpBias: false,
    initializerRange: keys.initializer_range,
    ...readSpecialTokens(file, keys.vocab_size, warn),
    dtype: keys.dtype ?? keys.torch_dtype ?? undefined,
    names: namesOf({ ...LLAMA_NAMES, ...moduleNames }, isHalf),
    raw: raw as Record<string, unknown>,
    ...own,
  }
  const { numAttentionHeads, intermediateSize } = result
  result.layers = Array.from({ length: keys.num_hidden_layers }, (_, index) => ({
    index,
    numAttentionHeads,
    numKeyValueHeads: result.numKeyValueHeads,
    headDim: result.headDim,
    intermediateSize,
    window: 0,
    rope: result.rope,
    numExperts: 0,
    ...ownLayers?.[index],
  }))
  checkDropped(file, dropout, warn)
  const remedy = 'What the weights were trained with cannot be left out: use another model'
  file.checkRest([withoutRefusals(CONFIG_KEYS, dropout), knownKeys], remedy, warn)
  return result
}

const withoutRefusals = ({ refused = {}, ...known }: KnownKeys, keys: readonly string[]): KnownKeys => ({
  ...known,
  refused: Object.fromEntries(Object.entries(refused).filter(([key]) => !keys.includes(key))),
})

/** Names dropout that the files of a family set as a matter of course. */
function checkDropped(file: ConfigFile, keys: readonly string[], warn: Warn): void {
  const values = file.read(Object.fromEntries(keys.map((key) => [key, z.number().min(0).max(1).nullish()])))
  const set = keys.filter((key) => file.has(key) && values[key])
  if (set.length === 0) return
  const list = set.map((key) => `"${key}" ${values[key]}`).join(', ')
  warn(`${file.where}: dropout within the model (${list}) is not applied in training; an adapter's is`)
}

const LLAMA_NAMES: ModuleNames = {
  embeddings: 'model.embed_tokens',
  layers: 'model.layers',
  norm: 'model.norm',
  head: 'lm_head',
}

/** The names of a text half have another prefix in the whole; the head stands outside. */
function namesOf(names: ModuleNames, isHalf: boolean): ModuleNames {
  if (!isHalf) return names
  const inWhole = Object.entries(names).map(([part, name]) => [part, name.replace(/^model\./, TEXT_PREFIX)])
  return Object.fromEntries(inWhole) as unknown as ModuleNames
}

/** As many as heads where the file says nothing and the class default does not divide them: transformers makes no model of that. */
function keyValueHeads(file: ConfigFile, { num_key_value_heads, num_attention_heads }: DecoderKeys): number {
  const fits = num_key_value_heads && num_attention_heads % num_key_value_heads === 0
  return (file.has('num_key_value_heads') || fits ? num_key_value_heads : undefined) ?? num_attention_heads
}

/** Keys beside `text_config` that hold for the text half as well, where it does not have them itself. */
const SHARED_KEYS = ['dtype', 'torch_dtype', 'tie_word_embeddings', 'bos_token_id', 'eos_token_id', 'pad_token_id']

/**
 * The configuration of a model of text, or of the text half of one that has more.
 *
 * @throws {TunesmithError} `unsupported` for a type that nobody has written, and for what is no model.
 */
function textOf(file: ConfigFile): { modelType: string; text: Record<string, unknown>; isHalf: boolean } {
  const { where } = file
  const raw = file.raw as Record<string, unknown>
  if (typeof raw.fine_tune_type === 'string' || typeof raw.peft_type === 'string')
    throw invalidFile('This is the configuration of an adapter and not of a model', {
      where,
      remedy: 'Name the folder of the base model',
    })
  const { model_type: modelType } = file.read({ model_type: z.string() })
  if (!Object.hasOwn(TEXT_HALVES, modelType)) {
    const inner = MULTIMODAL_KEYS.filter((key) => typeof raw[key] === 'object' && raw[key] !== null)
    if (!architectureNames().includes(modelType)) throw unknownType(modelType, inner, where)
    if (inner.length === 0) return { modelType, text: raw, isHalf: false }
    throw unsupported(
      `A model of the type "${modelType}" is one of text alone, and this one has ${inner.join(' and ')}`,
      {
        where,
        remedy: 'Check that config.json belongs to the model',
      },
    )
  }
  const { text_config: text } = file.read({ text_config: z.record(z.string(), z.unknown()) })
  const textType = typeof text.model_type === 'string' ? text.model_type : TEXT_HALVES[modelType]!.textType
  if (!architectureNames().includes(textType)) throw unknownType(textType, [], where)
  const shared = SHARED_KEYS.filter((key) => raw[key] !== undefined && raw[key] !== null)
  const beside = Object.fromEntries(shared.map((key) => [key, raw[key]]))
  const { quantization_config } = raw
  return {
    modelType: textType,
    text: {
      ...beside,
      ...text,
      // Tying is the whole's business.
      ...('tie_word_embeddings' in beside && { tie_word_embeddings: beside.tie_word_embeddings }),
      ...(quantization_config !== undefined && { quantization_config }),
      model_type: textType,
    },
    isHalf: true,
  }
}

/** A refusal that names the nearest family that is there. */
function unknownType(modelType: string, inner: readonly string[], where: string) {
  const names = [...architectureNames(), ...Object.keys(TEXT_HALVES)]
  const parts = inner.length > 0 ? `, a model of more than text (${inner.join(' and ')}),` : ''
  const nearest = nearestType(modelType, names)
  return unsupported(`The model type "${modelType}"${parts} is not supported`, {
    where,
    remedy: `${nearest ? `The nearest that is, is ${nearest}. ` : ''}Supported are ${names.join(', ')}; docs/contributing/new-architecture.md shows how to add another`,
  })
}

/** The family with the longest common beginning, of at least three letters. */
function nearestType(modelType: string, names: readonly string[]): string | undefined {
  const common = (name: string) => {
    let length = 0
    while (length < name.length && name[length] === modelType[length]) length++
    return length
  }
  const [nearest] = [...names].sort((a, b) => common(b) - common(a) || a.length - b.length)
  return nearest !== undefined && common(nearest) >= 3 ? nearest : undefined
}
