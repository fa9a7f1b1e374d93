import { join } from 'node:path'
import { camelCase, refusedKeys, renameKeys, TunesmithError } from '@tunesmith/core'
import { readJsonFile } from '@tunesmith/hub'
import { z } from 'zod'
import { ConfigFile, readSpecialTokens, type SpecialTokens, type Warn } from '../config-file'
import type { ModelConfig } from '../model-config'
import { GENERATION_KEYS } from './generation-keys'
import { scoreBias } from './logits-processors'
import type { samplingSchema } from './sampler'

/**
 * What a model's generation_config.json asks for, as options of `generate`; where it says nothing, config.json speaks for the special
 * tokens. Keys that it refuses are in `raw` alone: {@link refusedSettings}.
 */
export interface GenerationDefaults extends SpecialTokens, Partial<Omit<z.output<typeof samplingSchema>, 'seed'>> {
  maxNewTokens?: number
  /** Tokens of prompt and answer at most, where `maxNewTokens` says nothing. */
  maxLength?: number
  maxTime?: number
  stopStrings?: string[]
  /** The file as it was read; written back when the model is saved. */
  raw: Record<string, unknown>
}

const number = z.number().nullish()
const whole = z.number().int()
const id = whole.nonnegative()
const run = z.array(id).min(1)

const generationKeys = {
  do_sample: z.boolean().nullish(),
  temperature: number,
  top_p: number,
  min_p: number,
  top_h: number,
  typical_p: number,
  repetition_penalty: number,
  encoder_repetition_penalty: number,
  bad_words_ids: z.array(run).nullish(),
  sequence_bias: z.array(z.tuple([run, scoreBias])).nullish(),
  forced_bos_token_id: id.nullish(),
  forced_eos_token_id: z.union([id, run]).nullish(),
  remove_invalid_values: z.boolean().nullish(),
  exponential_decay_length_penalty: z.tuple([whole, z.number()]).nullish(),
  max_new_tokens: whole.positive().nullish(),
  max_length: whole.positive().nullish(),
  max_time: z.number().positive().nullish(),
}

/** Where a number below zero means "off", as -1 did in old versions. */
const switchedKeys = {
  top_k: whole.nullish(),
  no_repeat_ngram_size: whole.nullish(),
  encoder_no_repeat_ngram_size: whole.nullish(),
  min_length: whole.nullish(),
  min_new_tokens: whole.nullish(),
}

/** Bounds that count only between 0 and 1. */
const cutoffKeys = { epsilon_cutoff: number, eta_cutoff: number }

const listKeys = { suppress_tokens: z.array(whole).nullish(), begin_suppress_tokens: z.array(whole).nullish() }

const stopStrings = { stop_strings: z.union([z.string().min(1), z.array(z.string().min(1))]).nullish() }

/** The defaults of a model without the file. */
export function generationDefaults({ bosTokenId, eosTokenIds, padTokenId }: ModelConfig): GenerationDefaults {
  return { bosTokenId, eosTokenIds, padTokenId, raw: {} }
}

/** Keys of a generation_config.json that ask for what is not here. */
export const refusedSettings = ({ raw }: GenerationDefaults): string[] => refusedKeys(raw, [GENERATION_KEYS])

/** All keys that are. */
export const REFUSED_SETTINGS: string[] = Object.keys(GENERATION_KEYS.refused!)

/** What a refused key would do. */
export const meaningOf = (key: string): string => GENERATION_KEYS.refused![key]!.means

const mapValues = <Value, Result>(values: Record<string, Value | null | undefined>, change: (value: Value) => Result) =>
  Object.fromEntries(Object.entries(values).flatMap(([key, value]) => (value == null ? [] : [[key, change(value)]])))

/**
 * Reads generation_config.json of a model folder, if it has one. Each of its keys is obeyed by `generate`, refused by it, harmless, or named in
 * a warning.
 *
 * Sampling settings count only when the file switches sampling on, as in transformers.
 *
 * @throws {TunesmithError} `invalid_file` for a key of the wrong type.
 */
export async function readGenerationDefaults(
  folder: string,
  config: ModelConfig,
  warn: Warn = (line) => console.warn(line),
): Promise<GenerationDefaults> {
  const defaults = generationDefaults(config)
  const where = join(folder, 'generation_config.json')
  const raw = await readJsonFile<Record<string, unknown>>(where).catch((error: unknown) => {
    if (error instanceof TunesmithError && error.code === 'not_found') return undefined
    throw error
  })
  if (raw === undefined) return defaults
  const file = new ConfigFile(raw, where)
  const { stop_strings } = file.read(stopStrings)
  const settings = {
    ...mapValues<unknown, unknown>(file.read(generationKeys), (value) => value),
    ...mapValues(file.read(switchedKeys), (value) => Math.max(0, value)),
    ...mapValues(file.read(cutoffKeys), (value) => (value > 0 && value < 1 ? value : 0)),
    ...mapValues(file.read(listKeys), (tokens) => tokens.filter((token) => token >= 0)),
    ...(stop_strings != null && { stop_strings: [stop_strings].flat() }),
  }
  const special = readSpecialTokens(file, config.vocabSize, warn, defaults)
  // What is refused does not keep a model from being loaded and trained.
  const { refused = {}, harmless } = GENERATION_KEYS
  file.checkRest([{ harmless: { ...harmless, 'refused when a token is chosen': Object.keys(refused) } }], '', warn)
  return { ...special, ...renameKeys(settings, camelCase), raw }
}
