import {
  camelCase,
  checkKeys,
  invalidFile,
  type KnownKeys,
  parseOptions,
  snakeCase,
  unsupported,
} from '@tunesmith/core'
import type { CausalLM } from '@tunesmith/models'
import type { Adapter, AdapterConfig, SharedParts } from './adapter'
import { adapterOf } from './registry'
import { effectiveTargets } from './target-modules'

/** The content of PEFT's adapter_config.json. */
export function configToJson(
  { adapter, config, shared }: { adapter: Adapter; config: AdapterConfig; shared: SharedParts | undefined },
  model: CausalLM,
): Record<string, unknown> {
  const options = config as unknown as Record<string, unknown>
  const json: Record<string, unknown> = {
    auto_mapping: null,
    base_model_name_or_path: model.nameOrPath ?? null,
    inference_mode: true,
    revision: null,
    task_type: 'CAUSAL_LM',
  }
  for (const option of Object.keys(adapter.schema.shape)) json[snakeCase(option)] = options[option] ?? null
  if ('targetModules' in adapter.schema.shape)
    json.target_modules = effectiveTargets(model, config, adapter.defaultTargets)
  // Not every kind, nor every version of PEFT, knows it.
  if (json.ensure_weight_tying === false) delete json.ensure_weight_tying
  const all = { ...json, ...adapter.json?.write?.(config, model, shared) }
  return Object.fromEntries(Object.entries(all).sort(([a], [b]) => (a < b ? -1 : 1)))
}

/** Keys of adapter_config.json of all kinds. */
const COMMON: KnownKeys = {
  harmless: {
    'where an adapter comes from': [
      ...['auto_mapping', 'base_model_name_or_path', 'peft_type', 'peft_version', 'revision', 'task_type'],
      ...['transformers_version', 'unsloth_version', '_name_or_path'],
    ],
    'how it is used next, which the caller says': ['inference_mode'],
    'how PEFT computes, not what': ['runtime_config'],
  },
}

const isEmpty = (value: unknown) => value == null || (typeof value === 'object' && Object.keys(value).length === 0)

/** @throws {TunesmithError} `invalid_file` for what is no configuration of PEFT's, saying what it is. */
function checkKind(json: unknown, where: string): asserts json is Record<string, unknown> {
  if (typeof json !== 'object' || json === null || Array.isArray(json))
    throw invalidFile('Not a configuration of an adapter: it is no JSON object', { where })
  if ('peft_type' in json) return
  if ('fine_tune_type' in json || 'lora_parameters' in json)
    throw unsupported('This is an adapter of MLX (mlx-lm), whose files PEFT and this package do not read', {
      where,
      remedy: 'Fuse it with `mlx_lm.fuse` and load the fused model',
    })
  if ('model_type' in json)
    throw invalidFile('This is the configuration of a model and not of an adapter', {
      where,
      remedy: 'Load it with loadModel',
    })
  throw invalidFile('The file does not say what kind of adapter it is: there is no "peft_type"', {
    where,
    remedy: 'Name the folder of an adapter that PEFT or savePeftModel has saved',
  })
}

/**
 * Reads an adapter_config.json, of any version of PEFT since 0.8.
 *
 * @param warn gets a line that names the keys which are set, unknown here and not known to be harmless, and the kind's caution.
 * @throws {TunesmithError} `unsupported` for another adapter type or a feature that changes the numbers.
 */
export function configFromJson(
  json: unknown,
  where: string,
  warn: (line: string) => void = (line) => console.warn(line),
): { adapter: Adapter; config: AdapterConfig } {
  checkKind(json, where)
  const adapter = adapterOf(json.peft_type, where)
  const { refused = [], ignored = [], read } = adapter.json ?? {}
  const { shape } = adapter.schema
  const used = Object.keys(json).filter((key) => Object.hasOwn(shape, camelCase(key)))
  const notHere = { means: 'a part of PEFT that is not here', neutral: [0] }
  const own: KnownKeys = {
    harmless: { 'without consequences for this kind': ignored },
    refused: Object.fromEntries(refused.map((key) => [key, notHere])),
  }
  const remedy = 'Merge it with PEFT and load the merged model instead'
  checkKeys({ values: json, used, known: [COMMON, own], where, remedy, warn })
  const options: Record<string, unknown> = { peftType: json.peft_type, ...read?.(json) }
  for (const key of used) {
    const option = camelCase(key)
    if (option in options || ignored.includes(key) || refused.includes(key) || isEmpty(json[key])) continue
    options[option] = json[key]
  }
  const config = parseOptions(adapter.schema, options, where)
  const caution = adapter.json?.caution?.(config)
  if (caution) warn(`${where}: ${caution}`)
  return { adapter, config }
}
