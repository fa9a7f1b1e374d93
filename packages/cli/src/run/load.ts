import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { type CausalLM, loadModel } from '@tunesmith/models'
import { adapterBaseModel, loadPeftModel } from '@tunesmith/peft-lora'
import { Tokenizer } from '@tunesmith/tokenization'

export interface Loaded {
  model: CausalLM
  tokenizer: Tokenizer
}

/**
 * Loads a model folder or Hub id, or an adapter folder on its base model.
 *
 * @param base replaces the base model that the adapter names.
 */
export async function loadModelOrAdapter(path: string, base?: string): Promise<Loaded> {
  if (!existsSync(join(path, 'adapter_config.json')))
    return { model: await loadModel(path), tokenizer: await Tokenizer.fromPretrained(path) }
  const basePath = base ?? (await adapterBaseModel(path))
  const model = await loadModel(basePath)
  await loadPeftModel(model, path)
  const own = existsSync(join(path, 'tokenizer.json'))
  return { model, tokenizer: await Tokenizer.fromPretrained(own ? path : basePath) }
}
