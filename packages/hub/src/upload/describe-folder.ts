import { join } from 'node:path'
import { TunesmithError } from '@tunesmith/core'
import { readJsonFile } from '../json-file'
import type { ModelCardOptions } from './model-card'

/** A folder's JSON object; undefined when it has no such file. */
async function readObject(folder: string, name: string): Promise<Record<string, unknown> | undefined> {
  try {
    const value = await readJsonFile(join(folder, name))
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined
  } catch (error) {
    if (error instanceof TunesmithError && error.code === 'not_found') return undefined
    throw error
  }
}

/** Those of an adapter's settings that a reader wants to see, by their Hugging Face names. */
const SHOWN = ['r', 'lora_alpha', 'lora_dropout', 'target_modules', 'use_rslora', 'use_dora', 'bias', 'modules_to_save']

const METHODS: Record<string, string> = { LORA: 'LoRA', IA3: 'IA3', PROMPT_TUNING: 'prompt tuning' }

/** What a model card can say about a folder without being told: from `adapter_config.json` or `config.json`. */
export async function describeFolder(folder: string, repoId: string): Promise<ModelCardOptions> {
  const title = repoId.split('/').at(-1)!
  const adapter = await readObject(folder, 'adapter_config.json')
  if (!adapter) {
    const config = await readObject(folder, 'config.json')
    const quantized = config?.quantization_config !== undefined
    return { title, repoId, relation: quantized ? 'quantized' : 'finetune' }
  }
  const base = adapter.base_model_name_or_path
  const type = String(adapter.peft_type ?? 'LORA')
  const method = adapter.use_dora === true ? 'DoRA' : adapter.use_rslora === true ? 'rsLoRA' : (METHODS[type] ?? type)
  const hyperparameters: NonNullable<ModelCardOptions['hyperparameters']> = {}
  for (const key of SHOWN) {
    const value = adapter[key]
    if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean')
      hyperparameters[key] = value
    else if (Array.isArray(value)) hyperparameters[key] = value.map(String)
  }
  return {
    title,
    repoId,
    relation: 'adapter',
    method,
    hyperparameters,
    baseModel: typeof base === 'string' && base !== '' ? base : undefined,
  }
}
