import { camelCase, parseOptions, snakeCase, TunesmithError } from '@tunesmith/core'
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

/** Values that mean "not used"; a key of PEFT's that we do not know is harmless with one of them. */
const isNeutral = (value: unknown) =>
  value === null ||
  value === undefined ||
  value === false ||
  value === 0 ||
  (typeof value === 'object' && Object.keys(value as object).length === 0)

/** Keys that say where an adapter comes from and nothing about its numbers. */
const INFORMATIVE = new Set([
  ...['auto_mapping', 'base_model_name_or_path', 'inference_mode'],
  ...['peft_type', 'peft_version', 'revision', 'task_type'],
])

/**
 * Reads an adapter_config.json, of any version of PEFT since 0.8.
 *
 * @param warn gets a line for each key that is set, unknown here and not known to be harmless.
 * @throws {TunesmithError} `unsupported` for another adapter type or a feature that changes the numbers.
 */
export function configFromJson(
  json: Readonly<Record<string, unknown>>,
  where: string,
  warn: (line: string) => void = console.warn,
): { adapter: Adapter; config: AdapterConfig } {
  const adapter = adapterOf(json.peft_type, where)
  const { refused = [], ignored = [], read } = adapter.json ?? {}
  const found = refused.filter((key) => !isNeutral(json[key]))
  if (found.length > 0)
    throw new TunesmithError(`The adapter uses ${found.map((key) => `"${key}"`).join(', ')}`, {
      code: 'unsupported',
      where,
      remedy: 'Merge it with PEFT and load the merged model instead',
    })
  const options: Record<string, unknown> = { peftType: json.peft_type, ...read?.(json) }
  for (const [key, value] of Object.entries(json)) {
    const option = camelCase(key)
    if (option in options || INFORMATIVE.has(key) || ignored.includes(key) || refused.includes(key)) continue
    if (isNeutral(value) && value !== false) continue
    if (option in adapter.schema.shape) options[option] = value
    else if (value !== false) warn(`${where}: the key "${key}" is not known and was not used`)
  }
  return { adapter, config: parseOptions(adapter.schema, options, where) }
}
