import { invalidFile, isNestedTooDeep, MAX_DEPTH } from '@tunesmith/core'
import { z } from 'zod'
import { id } from '../engine/read-step'
import type { TokenizerJson } from '../engine/tokenizer-json'
import { vocabMap } from '../engine/vocab-map'

export const CONVERT =
  'Convert the tokenizer with transformers: AutoTokenizer.from_pretrained(...).save_pretrained(...) writes one'

const step = z.looseObject({ type: z.string() }).nullable().default(null)
const flag = z.boolean().default(false)
const direction = z.enum(['Left', 'Right'])

/** Everything of a tokenizer.json but its vocabulary and merges; what the steps say is checked where they are compiled. */
const file = z.looseObject({
  version: z.literal('1.0', 'only version "1.0" is known').optional(),
  truncation: z
    .object({
      direction: direction.default('Right'),
      max_length: z.int().min(0),
      strategy: z.enum(['LongestFirst', 'OnlyFirst', 'OnlySecond']),
      stride: z.int().min(0),
    })
    .nullable()
    .default(null),
  padding: z
    .object({
      strategy: z.union([z.literal('BatchLongest'), z.strictObject({ Fixed: z.int().min(0) })]),
      direction,
      pad_to_multiple_of: z.int().min(0).nullable().default(null),
      pad_id: id,
      pad_type_id: z.int(),
      pad_token: z.string(),
    })
    .nullable()
    .default(null),
  added_tokens: z
    .array(
      z.looseObject({
        id,
        content: z.string(),
        single_word: flag,
        lstrip: flag,
        rstrip: flag,
        normalized: flag,
        special: flag,
      }),
    )
    .nullable()
    .default([]),
  normalizer: step,
  pre_tokenizer: step,
  post_processor: step,
  decoder: step,
  model: z.looseObject({}),
})

/**
 * Makes sure that everything else can rely on the types in a tokenizer.json; absent optional parts become null.
 *
 * @throws {TunesmithError} `invalid_file`, naming what is wrong.
 */
export function checkTokenizerJson(json: Record<string, unknown>, where: string): TokenizerJson {
  const invalid = (message: string, remedy?: string) => invalidFile(message, { where, remedy })
  const { normalizer, pre_tokenizer, post_processor, decoder, added_tokens } = json
  const parts = { normalizer, pre_tokenizer, post_processor, decoder, added_tokens }
  const deep = Object.entries(parts).find(([, part]) => isNestedTooDeep(part))
  if (deep) throw invalid(`"${deep[0]}" is nested deeper than ${MAX_DEPTH} levels`)
  const model = json.model as Record<string, unknown> | undefined
  if (typeof model !== 'object' || model === null || typeof model.vocab !== 'object' || model.vocab === null)
    throw invalid('No model with a vocabulary in it', CONVERT)
  const result = file.safeParse(json)
  if (!result.success) {
    const lines = result.error.issues.map(({ path, message }) => `"${path.map(String).join('.')}": ${message}`)
    throw invalid(lines.slice(0, 5).join('; '))
  }
  const type = typeOf(model)
  const wrong = type === 'Unigram' ? wrongPieces(model.vocab) : wrongIds(model.vocab)
  if (wrong !== undefined) throw invalid(wrong)
  if (type === 'BPE' && !isMergeList(model.merges)) throw invalid('"model.merges": expected a list of pairs of tokens')
  return { ...result.data, added_tokens: result.data.added_tokens ?? [], model: { ...model, type } } as TokenizerJson
}

/** Files from before the `type` key are known by what else they have. */
function typeOf(model: Record<string, unknown>): string {
  if (typeof model.type === 'string') return model.type
  if (model.merges) return 'BPE'
  if (Array.isArray(model.vocab)) return 'Unigram'
  return 'continuing_subword_prefix' in model ? 'WordPiece' : 'WordLevel'
}

function wrongIds(vocab: object): string | undefined {
  if (Array.isArray(vocab)) return '"model.vocab": expected an object'
  const ids = vocabMap(vocab)
  // Nearly always the ids are those from 0 on.
  const seen = new Uint8Array(ids.size)
  const tokens = new Map<number, string>()
  for (const [token, value] of ids) {
    if (!Number.isInteger(value) || value < 0 || value > 0x7fffffff)
      return `"model.vocab": ${JSON.stringify(token)} has the id ${JSON.stringify(value)}`
    if (value < seen.length && seen[value] === 0) {
      seen[value] = 1
      continue
    }
    const other = tokens.get(value) ?? (value < seen.length ? keyOf(ids, value) : undefined)
    if (other !== undefined)
      return `"model.vocab": ${JSON.stringify(token)} and ${JSON.stringify(other)} both have the id ${value}`
    tokens.set(value, token)
  }
  return undefined
}

function keyOf(ids: ReadonlyMap<string, number>, wanted: number): string | undefined {
  for (const [token, id] of ids) if (id === wanted) return token
  return undefined
}

function wrongPieces(vocab: object): string | undefined {
  if (!Array.isArray(vocab)) return '"model.vocab": expected a list of tokens with their scores'
  const at = vocab.findIndex(
    (entry) =>
      !Array.isArray(entry) || entry.length !== 2 || typeof entry[0] !== 'string' || !Number.isFinite(entry[1]),
  )
  return at === -1 ? undefined : `"model.vocab.${at}": expected a token with its score`
}

function isMergeList(merges: unknown): boolean {
  if (!Array.isArray(merges)) return false
  // By index: a list that no parser has made may have holes, which `every` passes over.
  const all = (is: (merge: unknown) => boolean) => {
    for (let i = 0; i < merges.length; i++) if (!is(merges[i])) return false
    return true
  }
  const isPair = (merge: unknown) =>
    Array.isArray(merge) && merge.length === 2 && typeof merge[0] === 'string' && typeof merge[1] === 'string'
  return all((merge) => typeof merge === 'string') || all(isPair)
}
