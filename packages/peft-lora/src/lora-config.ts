import { parseOptions, TunesmithError } from '@tunesmith/core'
import { z } from 'zod'

export const loraConfigSchema = z.strictObject({
  /** Rank of the update. Default 8. */
  r: z.number().int().positive().default(8),
  /** The update is scaled by `loraAlpha / r`. Default 8. */
  loraAlpha: z.number().positive().default(8),
  /** Probability of dropping an element of the update's input during training. Default 0. */
  loraDropout: z.number().min(0).lt(1).default(0),
  /**
   * Which linear layers: suffixes (`q_proj`), one regular expression over whole names, or `all-linear` (all but the
   * head). Default: the usual ones of the architecture, `q_proj` and `v_proj`.
   */
  targetModules: z.union([z.string(), z.array(z.string()).min(1)]).optional(),
  /** Left out again: suffixes, or one regular expression. */
  excludeModules: z.union([z.string(), z.array(z.string())]).optional(),
  /** Only these decoder layers. Default all. */
  layersToTransform: z.union([z.number().int(), z.array(z.number().int())]).optional(),
  /** Ranks of particular modules, by suffix or regular expression. */
  rankPattern: z.record(z.string(), z.number().int().positive()).default({}),
  /** `loraAlpha` of particular modules, likewise. */
  alphaPattern: z.record(z.string(), z.number().positive()).default({}),
  /** Scale by `loraAlpha / sqrt(r)` (Kalajdzievski 2023). Default false. */
  useRslora: z.boolean().default(false),
  /** true: A Kaiming uniform and B zero, as in PEFT; `gaussian`: A normal with standard deviation 1/r. Default true. */
  initLoraWeights: z.union([z.literal(true), z.literal('gaussian')]).default(true),
})

/** What a caller may write. */
export type LoraConfigOptions = z.input<typeof loraConfigSchema>
/** With defaults filled in. */
export type LoraConfig = z.output<typeof loraConfigSchema>

export function loraConfig(options: LoraConfigOptions = {}): LoraConfig {
  return parseOptions(loraConfigSchema, options, 'LoraConfig')
}

const camel = (key: string) => key.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase())

/** The content of PEFT's adapter_config.json. */
export function loraConfigToJson(
  config: LoraConfig,
  baseModel: string | undefined,
  targetModules: string | string[],
): object {
  return {
    alpha_pattern: config.alphaPattern,
    auto_mapping: null,
    base_model_name_or_path: baseModel ?? null,
    bias: 'none',
    exclude_modules: config.excludeModules ?? null,
    fan_in_fan_out: false,
    inference_mode: true,
    init_lora_weights: config.initLoraWeights,
    layers_pattern: null,
    layers_to_transform: config.layersToTransform ?? null,
    lora_alpha: config.loraAlpha,
    lora_dropout: config.loraDropout,
    modules_to_save: null,
    peft_type: 'LORA',
    r: config.r,
    rank_pattern: config.rankPattern,
    revision: null,
    target_modules: targetModules,
    task_type: 'CAUSAL_LM',
    use_dora: false,
    use_rslora: config.useRslora,
  }
}

/** Values that mean "not used"; a key of PEFT's that we do not know is harmless with one of them. */
const isNeutral = (value: unknown) =>
  value === null || value === false || (typeof value === 'object' && Object.keys(value as object).length === 0)

/** Keys that say where an adapter comes from or how PEFT stores it, and nothing about its numbers. */
const INFORMATIVE = new Set([
  'auto_mapping',
  'base_model_name_or_path',
  'inference_mode',
  'megatron_core',
  'peft_type',
  'peft_version',
  'qalora_group_size',
  'revision',
  'task_type',
])

/**
 * Reads an adapter_config.json, of any version of PEFT since 0.8.
 *
 * @param warn gets a line for each key that is set, unknown here and not known to be harmless.
 * @throws {TunesmithError} `unsupported` for another adapter type or a feature that changes the numbers.
 */
export function loraConfigFromJson(
  json: Record<string, unknown>,
  where: string,
  warn: (line: string) => void = console.warn,
): LoraConfig & { baseModel: string | undefined } {
  if (json.peft_type !== 'LORA')
    throw new TunesmithError(`The adapter is of type ${String(json.peft_type)}`, {
      code: 'unsupported',
      where,
      remedy: 'Adapters of type LORA can be loaded',
    })
  const refused = [
    'use_dora',
    'lora_bias',
    'modules_to_save',
    'fan_in_fan_out',
    'layer_replication',
    'target_parameters',
    'trainable_token_indices',
  ]
  const found = refused.filter((key) => !isNeutral(json[key] ?? null))
  if (json.bias !== undefined && json.bias !== 'none') found.push('bias')
  if (found.length > 0)
    throw new TunesmithError(`The adapter uses ${found.map((key) => `"${key}"`).join(', ')}`, {
      code: 'unsupported',
      where,
      remedy: 'Merge it with PEFT and load the merged model instead',
    })
  const options: Record<string, unknown> = {}
  const known = new Set(Object.keys(loraConfigSchema.shape))
  for (const [key, value] of Object.entries(json)) {
    if (value === null || refused.includes(key) || key === 'bias' || INFORMATIVE.has(key)) continue
    if (known.has(camel(key))) options[camel(key)] = value
    else if (!isNeutral(value)) warn(`${where}: the key "${key}" is not known and was not used`)
  }
  // How the weights were initialised no longer matters, they are in the file.
  delete options.initLoraWeights
  return {
    ...parseOptions(loraConfigSchema, options, where),
    baseModel: typeof json.base_model_name_or_path === 'string' ? json.base_model_name_or_path : undefined,
  }
}
