import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { resolveModelFolder } from '@tunesmith/hub'
import { type CausalLM, loadModel } from '@tunesmith/models'
import { adapterBaseModel, loadPeftModel, type PeftModel } from '@tunesmith/peft-lora'
import { Tokenizer } from '@tunesmith/tokenization'

export interface Loaded {
  model: CausalLM
  /** The adapter on it, if there is one. */
  peft: PeftModel | undefined
  tokenizer: Tokenizer
}

/**
 * Loads a model, or an adapter on its base model, each a folder or a Hub id. The tokenizer is the adapter's where it has one.
 *
 * @param base replaces the base model that the adapter at `path` names.
 * @param adapter for the model at `path`.
 */
export async function loadModelOrAdapter(path: string, base?: string, adapter?: string): Promise<Loaded> {
  const folder = await resolveModelFolder(path)
  const isAdapter = existsSync(join(folder, 'adapter_config.json'))
  const adapterFolder = isAdapter ? folder : adapter && (await resolveModelFolder(adapter))
  const basePath = isAdapter ? (base ?? (await adapterBaseModel(folder))) : path
  const model = await loadModel(basePath)
  const peft = adapterFolder ? await loadPeftModel(model, adapterFolder) : undefined
  const own = adapterFolder && existsSync(join(adapterFolder, 'tokenizer.json'))
  return { model, peft, tokenizer: await Tokenizer.fromPretrained(own ? adapterFolder : basePath) }
}
