import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { invalidOptions, isTunesmithError, TunesmithError } from '@tunesmith/core'
import { resolveModelFolder } from '@tunesmith/hub'
import { type CausalLM, type LoadModelOptions, loadModel } from '@tunesmith/models'
import { adapterBaseModel, loadPeftModel, type PeftModel } from '@tunesmith/peft-lora'
import { chatTemplates, type TemplateName, Tokenizer } from '@tunesmith/tokenization'

export interface LoadedModel {
  model: CausalLM
  /** The adapter on it, if there is one. */
  peft: PeftModel | undefined
  tokenizer: Tokenizer
}

/** A model, or an adapter and its base model, found on the disk and not yet read. */
export interface FoundModel {
  /** The model, or the base model of an adapter: as it was named, and its folder. */
  base: string
  baseFolder: string
  adapter: string | undefined
}

export interface FindOptions {
  /** Replaces the base model that the adapter at `path` names. */
  base?: string | undefined
  /** For the model at `path`. */
  adapter?: string | undefined
}

/**
 * Finds a model, or an adapter and its base model, each a folder or a Hub id.
 *
 * @throws {TunesmithError} `invalid_options` for `adapter` on an adapter or `base` for a model; `not_found`, naming the adapter and
 *   the option `--base` when its base model is not where it was.
 */
export async function findModel(path: string, { base, adapter }: FindOptions = {}): Promise<FoundModel> {
  const folder = await resolveModelFolder(path)
  if (!existsSync(join(folder, 'adapter_config.json'))) {
    if (base !== undefined)
      throw invalidOptions('--base is for an adapter, and this is a whole model', {
        where: path,
        remedy: 'Leave it out',
      })
    return { base: path, baseFolder: folder, adapter: adapter && (await resolveModelFolder(adapter)) }
  }
  if (adapter !== undefined)
    throw invalidOptions('This is an adapter itself, and --adapter names another one', {
      where: path,
      remedy: 'Name the base model in the place of this adapter, or leave --adapter out',
    })
  if (base !== undefined) return { base, baseFolder: await resolveModelFolder(base), adapter: folder }
  const named = await adapterBaseModel(folder)
  const baseFolder = await resolveModelFolder(named).catch((error: unknown) => {
    if (!isTunesmithError(error)) throw error
    throw new TunesmithError(`The base model of the adapter cannot be had: ${error.what}`, {
      code: error.code,
      where: `${join(resolve(folder), 'adapter_config.json')}, base_model_name_or_path ${named}`,
      remedy: 'Say where it is with --base',
      cause: error,
    })
  })
  return { base: named, baseFolder, adapter: folder }
}

/** Reads what {@link findModel} found. The tokenizer is the adapter's where it has one. */
export async function readModel({ base, adapter }: FoundModel, options: LoadModelOptions = {}): Promise<LoadedModel> {
  const model = await loadModel(base, options)
  const peft = adapter === undefined ? undefined : await loadPeftModel(model, adapter)
  const own = adapter !== undefined && existsSync(join(adapter, 'tokenizer.json'))
  return { model, peft, tokenizer: await Tokenizer.fromPretrained(own ? adapter : base) }
}

/** What a command's output is made from. */
export const sourcesOf = ({ baseFolder, adapter }: FoundModel): string[] => [baseFolder, ...(adapter ? [adapter] : [])]

/** Options of `loadModel` for `--load-in-4bit`: the quantization that QLoRA trains on. */
export const in4bit = (wanted: boolean | undefined): LoadModelOptions =>
  wanted ? { quantizationConfig: { loadIn4bit: true, bnb4bitQuantType: 'nf4' } } : {}

/** Gives the tokenizer a built-in chat template in the place of its own. */
export function setChatTemplate(tokenizer: Tokenizer, name: TemplateName | undefined): void {
  if (name !== undefined) tokenizer.chatTemplate = chatTemplates[name]
}
