import { join } from 'node:path'
import { TunesmithError } from '@tunesmith/core'
import { readJsonFile } from '@tunesmith/hub'
import { z } from 'zod'
import type { ModelConfig } from '../config'

/** What a model's generation_config.json asks for; where it says nothing, config.json speaks for the special tokens. */
export interface GenerationDefaults {
  bosTokenId: number | undefined
  /** Any of these ends an answer; Llama 3 has three. */
  eosTokenIds: number[]
  padTokenId: number | undefined
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

const tokenId = z.number().int().nonnegative().nullish()
const number = z.number().nullish()
const fileSchema = z.looseObject({
  bos_token_id: tokenId,
  eos_token_id: z.union([tokenId, z.array(z.number().int().nonnegative())]),
  pad_token_id: tokenId,
  do_sample: z.boolean().nullish(),
  temperature: number,
  top_k: number,
  top_p: number,
  min_p: number,
  repetition_penalty: number,
  max_new_tokens: number,
})

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
  const result = fileSchema.safeParse(raw)
  if (!result.success) {
    const issues = result.error.issues.map((issue) => `"${issue.path.join('.')}": ${issue.message}`).join('; ')
    throw new TunesmithError(`Not a usable generation configuration: ${issues}`, { code: 'invalid_file', where })
  }
  const g = result.data
  const eos = g.eos_token_id
  const sampling = {
    temperature: g.temperature,
    // Written by old versions for "off".
    topK: g.top_k !== null && g.top_k !== undefined && g.top_k < 0 ? 0 : g.top_k,
    topP: g.top_p,
    minP: g.min_p,
  }
  const known = (values: Record<string, unknown>) =>
    Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined && value !== null))
  return {
    bosTokenId: g.bos_token_id ?? defaults.bosTokenId,
    eosTokenIds: Array.isArray(eos) ? eos : typeof eos === 'number' ? [eos] : defaults.eosTokenIds,
    padTokenId: g.pad_token_id ?? defaults.padTokenId,
    ...known({ doSample: g.do_sample, repetitionPenalty: g.repetition_penalty, maxNewTokens: g.max_new_tokens }),
    ...known(sampling),
    raw,
  }
}
