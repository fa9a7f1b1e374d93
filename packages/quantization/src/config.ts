import {
  checkKeys,
  invalidFile,
  parseJsonObject,
  parseOptions,
  pythonMatch,
  stringifyJson,
  unsupported,
} from '@tunesmith/core'
import { z } from 'zod'
import { QUANT_STORAGE, type QuantStorage } from './bitsandbytes'
import { floatDtype } from './floats'
import { pythonFloat } from './python-json'

const schema = z
  .strictObject({
    /** NF4 or FP4. Default false. */
    loadIn4bit: z.boolean().default(false),
    /** LLM.int8. Default false. */
    loadIn8bit: z.boolean().default(false),
    /** `fp4` (default, as in transformers) or `nf4`. */
    bnb4bitQuantType: z.enum(['fp4', 'nf4']).default('fp4'),
    /** Quantize the scales too. Default false. */
    bnb4bitUseDoubleQuant: z.boolean().default(false),
    /** What the products are computed in. Default `float32`. */
    bnb4bitComputeDtype: floatDtype.default('float32'),
    /** The dtype that the packed bytes are stored under. Default `uint8`. */
    bnb4bitQuantStorage: z.enum(Object.keys(QUANT_STORAGE) as QuantStorage[]).default('uint8'),
    /** int8: inputs of at least this magnitude are multiplied in floating point. Default 6. */
    llmInt8Threshold: z.number().nonnegative().default(6),
    /**
     * Modules to leave alone: a name, its beginning or end, or a regular expression for its beginning. Default null: the
     * output layer only. A list replaces that default, as in transformers; name the output layer in it to keep it.
     */
    llmInt8SkipModules: z.array(z.string()).nullable().default(null),
    llmInt8EnableFp32CpuOffload: z.boolean().default(false),
    llmInt8HasFp16Weight: z.boolean().default(false),
  })
  .refine((config) => !(config.loadIn4bit && config.loadIn8bit), {
    path: ['loadIn8bit'],
    message: 'loadIn4bit and loadIn8bit are both true; choose one',
  })

/** What may be given to {@link quantizationConfig}. */
export type QuantizationConfigOptions = z.input<typeof schema>
/** The twin of transformers' BitsAndBytesConfig, all defaults filled in. */
export type QuantizationConfig = z.output<typeof schema>

/** Checks a configuration and fills in its defaults. @throws {TunesmithError} `invalid_options` */
export function quantizationConfig(options: QuantizationConfigOptions = {}): QuantizationConfig {
  return parseOptions(schema, options, 'QuantizationConfig')
}

/** `quantization_config` of config.json, keys in transformers' order. */
export type QuantizationConfigJson = Record<string, boolean | number | string | string[] | null>

/** The fields of {@link QuantizationConfig} by their keys in config.json, in transformers' order. */
const JSON_KEYS = {
  _load_in_4bit: 'loadIn4bit',
  _load_in_8bit: 'loadIn8bit',
  bnb_4bit_compute_dtype: 'bnb4bitComputeDtype',
  bnb_4bit_quant_storage: 'bnb4bitQuantStorage',
  bnb_4bit_quant_type: 'bnb4bitQuantType',
  bnb_4bit_use_double_quant: 'bnb4bitUseDoubleQuant',
  llm_int8_enable_fp32_cpu_offload: 'llmInt8EnableFp32CpuOffload',
  llm_int8_has_fp16_weight: 'llmInt8HasFp16Weight',
  llm_int8_skip_modules: 'llmInt8SkipModules',
  llm_int8_threshold: 'llmInt8Threshold',
  load_in_4bit: 'loadIn4bit',
  load_in_8bit: 'loadIn8bit',
} as const satisfies Record<string, keyof QuantizationConfig>

/** The object for config.json's `quantization_config`. */
export function quantizationConfigToJson(options: QuantizationConfigOptions): QuantizationConfigJson {
  const config = quantizationConfig(options)
  const entries = Object.entries(JSON_KEYS).map(([key, field]) => [key, config[field]] as const)
  return { ...Object.fromEntries(entries), quant_method: 'bitsandbytes' }
}

/**
 * The text of a config.json with `quantization_config` set; everything else keeps its very characters.
 *
 * The threshold is written `6.0`: transformers refuses an integer there.
 *
 * @throws {TunesmithError} `invalid_file` when the text is not a JSON object.
 */
export function addQuantizationConfig(configText: string, options: QuantizationConfigOptions): string {
  const json = quantizationConfigToJson(options)
  const lines = Object.entries(json).map(
    ([key, value]) =>
      `    "${key}": ${key === 'llm_int8_threshold' ? pythonFloat(value as number) : JSON.stringify(value)}`,
  )
  const config = parseJsonObject(configText, 'config.json')
  const isNew = config.quantization_config === undefined
  delete config.quantization_config
  const base = isNew ? configText.trimEnd() : stringifyJson(config, 2)
  const comma = Object.keys(config).length ? ',' : ''
  return `${base.slice(0, -1).trimEnd()}${comma}\n  "quantization_config": {\n${lines.join(',\n')}\n  }\n}\n`
}

/**
 * Reads `quantization_config` of a config.json; undefined when there is none.
 *
 * @param config the whole config.json, parsed.
 * @param warn gets a line for keys that are not known. Default `console.warn`.
 * @throws {TunesmithError} `unsupported` for another quantization method, `invalid_options` for wrong values.
 */
export function quantizationConfigFromJson(
  config: Readonly<Record<string, unknown>>,
  warn: (line: string) => void = console.warn,
): QuantizationConfig | undefined {
  const json = config.quantization_config as Record<string, unknown> | null | undefined
  if (json === undefined || json === null) return undefined
  const where = 'config.json: quantization_config'
  if (typeof json !== 'object' || Array.isArray(json))
    throw invalidFile('Not a quantization configuration: it is no JSON object', { where })
  const method = json.quant_method ?? (json.load_in_4bit || json.load_in_8bit ? 'bitsandbytes' : 'unnamed')
  if (method !== 'bitsandbytes')
    throw unsupported(`the model is quantized with "${method}"`, {
      where,
      remedy: 'Use the unquantized model, or one quantized with bitsandbytes',
    })
  // `load_in_4bit` comes after `_load_in_4bit` in the table, so that it counts when both are there.
  const fields: Record<string, unknown> = {}
  for (const [key, field] of Object.entries(JSON_KEYS)) {
    const value = json[key]
    if (value !== undefined && value !== null)
      fields[field] = typeof value === 'string' ? value.replace(/^torch\./, '') : value
  }
  const used = [...Object.keys(JSON_KEYS), 'quant_method']
  checkKeys({ values: json, used, known: [], where, remedy: '', warn })
  return parseOptions(schema, fields, where)
}

/** Output layers, by the names that decoder architectures give them. */
const OUTPUT_LAYERS = ['lm_head', 'embed_out']

function matches(module: string, pattern: string): boolean {
  if (module.endsWith(pattern) || module.startsWith(pattern)) return true
  try {
    return pythonMatch(pattern, module, { where: 'llm_int8_skip_modules' }) !== undefined
  } catch (error) {
    // What is wrong as an expression is a name alone; one that takes too long is an error.
    if ((error as Error).cause instanceof SyntaxError) return false
    throw error
  }
}

/**
 * Whether a tensor is the weight of a linear layer that this configuration quantizes.
 *
 * Linear weights are two-dimensional, end in `.weight` and are neither an embedding nor a norm (by name).
 */
export function isQuantizable(
  { name, shape }: { name: string; shape: readonly number[] },
  { llmInt8SkipModules }: Pick<QuantizationConfig, 'llmInt8SkipModules'>,
): boolean {
  if (shape.length !== 2 || !name.endsWith('.weight')) return false
  const module = name.slice(0, -'.weight'.length)
  const last = module.slice(module.lastIndexOf('.') + 1)
  if (last !== 'embed_out' && /embed|^wte$|^wpe$|norm|^ln_/i.test(last)) return false
  return !(llmInt8SkipModules ?? OUTPUT_LAYERS).some((pattern) => matches(module, pattern))
}
