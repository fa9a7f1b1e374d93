import { existsSync, readFileSync } from 'node:fs'
import { camelCase, invalidFile, invalidOptions } from '@tunesmith/core'
import { type LoraConfigOptions, loraConfigSchema } from '@tunesmith/peft-lora'
import { type SFTConfigOptions, sftConfigSchema } from '@tunesmith/sft-trainer'

export interface Hyperparameters {
  /** Hub id of the base model, where no channel brings one. */
  model: string
  loadIn4bit: boolean
  lora: LoraConfigOptions
  training: Omit<SFTConfigOptions, 'outputDir'>
}

/** Services hand over every value as text: `"16"`, `"0.0002"`, `"true"`, `"[\"q_proj\"]"`, and plain words. */
function parseValue(value: unknown): unknown {
  if (typeof value !== 'string') return value
  if (/^(True|False)$/.test(value)) return value === 'True'
  try {
    return JSON.parse(value)
  } catch {
    return value
  }
}

/**
 * Reads hyperparameters.json. Keys are SFTConfig's in camelCase or snake_case; LoRA's have `lora_` in front where theirs
 * do not (`lora_r`, `lora_target_modules`); beside them `model` and `load_in_4bit`.
 *
 * @throws {TunesmithError} `invalid_options` for an unknown key, `invalid_file` for a file that is no JSON object.
 */
export function readHyperparameters(file: string): Hyperparameters {
  const result: Hyperparameters = {
    model: 'codellama/CodeLlama-7b-Instruct-hf',
    loadIn4bit: true,
    lora: { r: 16, loraAlpha: 8, targetModules: 'all-linear' },
    training: {},
  }
  if (!existsSync(file)) return result
  let given: Record<string, unknown>
  try {
    given = JSON.parse(readFileSync(file, 'utf8')) as Record<string, unknown>
  } catch (cause) {
    throw invalidFile('The hyperparameters are not JSON', { where: file, cause })
  }
  for (const [key, text] of Object.entries(given)) {
    const name = camelCase(key)
    const value = parseValue(text)
    const short = /^lora([A-Z].*)$/.exec(name)?.[1]
    const loraName = short ? short.charAt(0).toLowerCase() + short.slice(1) : name
    if (name === 'model') result.model = String(value)
    else if (name === 'loadIn4bit' || name === 'loadIn_4bit') result.loadIn4bit = Boolean(value)
    else if (Object.hasOwn(sftConfigSchema.shape, name)) result.training = { ...result.training, [name]: value }
    else if (Object.hasOwn(loraConfigSchema.shape, name))
      result.lora = { ...result.lora, [name]: value } as LoraConfigOptions
    else if (short && Object.hasOwn(loraConfigSchema.shape, loraName))
      result.lora = { ...result.lora, [loraName]: value } as LoraConfigOptions
    else
      throw invalidOptions(`Unknown hyperparameter "${key}"`, {
        where: file,
        remedy:
          'Keys are model, load_in_4bit, those of SFTConfig, and lora_r, lora_alpha, lora_dropout, lora_target_modules ...',
      })
  }
  return result
}
