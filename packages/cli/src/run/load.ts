import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { resolveModelFolder } from '@tunesmith/hub'
import { type CausalLM, loadModel } from '@tunesmith/models'
import { adapterBaseModel, loadPeftModel } from '@tunesmith/peft-lora'
import { Tokenizer } from '@tunesmith/tokenization'

export interface Loaded {
  model: CausalLM
  tokenizer: Tokenizer
}

/** Whether a folder holds an adapter rather than a model. */
export const isAdapter = (folder: string) => existsSync(join(folder, 'adapter_config.json'))

/**
 * Loads a model or an adapter on its base model, each a folder or a Hub id.
 *
 * @param base replaces the base model that the adapter names.
 */
export async function loadModelOrAdapter(path: string, base?: string): Promise<Loaded> {
  const folder = await resolveModelFolder(path)
  if (!isAdapter(folder)) return { model: await loadModel(path), tokenizer: await Tokenizer.fromPretrained(path) }
  const basePath = base ?? (await adapterBaseModel(folder))
  const model = await loadModel(basePath)
  await loadPeftModel(model, folder)
  const own = existsSync(join(folder, 'tokenizer.json'))
  return { model, tokenizer: await Tokenizer.fromPretrained(own ? folder : basePath) }
}
