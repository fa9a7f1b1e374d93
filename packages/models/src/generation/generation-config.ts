import { join } from 'node:path'
import { camelCase, renameKeys, TunesmithError } from '@tunesmith/core'
import { readJsonFile } from '@tunesmith/hub'
import { z } from 'zod'
import { ConfigFile, readSpecialTokens, type SpecialTokens } from '../config-file'
import type { ModelConfig } from '../model-config'

/** What a model's generation_config.json asks for; where it says nothing, config.json speaks for the special tokens. */
export interface GenerationDefaults extends SpecialTokens {
  doSample?: boolean
  temperature?: number
  topK?: number
  topP?: number
  minP?: number
  repetitionPenalty?: number
  maxNewTokens?: number
  /** The file as it was read; written back when the model is saved. */
  raw: Record<string, unknown>
}

const number = z.number().nullish()

/** The defaults of a model without the file. */
export function generationDefaults({ bosTokenId, eosTokenIds, padTokenId }: ModelConfig): GenerationDefaults {
  return { bosTokenId, eosTokenIds, padTokenId, raw: {} }
}

/**
 * Reads generation_config.json of a model folder, if it has one.
 *
 * Sampling settings count only when the file switches sampling on, as in transformers.
 *
 * @throws {TunesmithError} `invalid_file` for a key of the wrong type.
 */
export async function readGenerationDefaults(folder: string, config: ModelConfig): Promise<GenerationDefaults> {
  const defaults = generationDefaults(config)
  const where = join(folder, 'generation_config.json')
  const raw = await readJsonFile<Record<string, unknown>>(where).catch((error: unknown) => {
    if (error instanceof TunesmithError && error.code === 'not_found') return undefined
    throw error
  })
  if (!raw) return defaults
  const file = new ConfigFile(raw, where)
  const g = file.read({
    do_sample: z.boolean().nullish(),
    temperature: number,
    top_k: number,
    top_p: number,
    min_p: number,
    repetition_penalty: number,
    max_new_tokens: number,
  })
  // Old versions wrote -1 for "off".
  const settings = { ...g, top_k: g.top_k && Math.max(0, g.top_k) }
  const known = Object.entries(settings).filter(([, value]) => value !== undefined && value !== null)
  return { ...readSpecialTokens(file, defaults), ...renameKeys(Object.fromEntries(known), camelCase), raw }
}
