import { invalidFile } from '@tunesmith/core'
import { id } from '../engine/read-step'
import type { AddedTokenJson } from '../engine/tokenizer-json'

/** The special tokens with a role, as transformers names them. */
export const ROLES = [
  'bos_token',
  'eos_token',
  'unk_token',
  'sep_token',
  'pad_token',
  'cls_token',
  'mask_token',
] as const
export type SpecialTokenRole = (typeof ROLES)[number]

export interface SpecialTokens {
  /** The text of each role that has a token. */
  roles: Partial<Record<SpecialTokenRole, string>>
  /** `additional_special_tokens` (transformers 4), or `extra_special_tokens` given as a list (transformers 5). */
  additional: string[]
  /** Named tokens of a model's own (`extra_special_tokens` given as an object): variables of its chat template. */
  named: Record<string, string>
}

/** A token is written as its text, or as an object with the text under `content`. */
function contentOf(value: unknown): string | undefined {
  if (typeof value === 'string') return value
  const content = (value as { content?: unknown } | null | undefined)?.content
  return typeof content === 'string' ? content : undefined
}

/**
 * Reads the special tokens out of tokenizer_config.json and special_tokens_map.json.
 *
 * As in transformers, a config that has `added_tokens_decoder` speaks for itself; an older one is overruled by the map.
 */
export function readSpecialTokens(config: Record<string, unknown>, map: Record<string, unknown>): SpecialTokens {
  const [first, second] = 'added_tokens_decoder' in config ? [config, map] : [map, config]
  const roles: SpecialTokens['roles'] = {}
  for (const role of ROLES) {
    const token = contentOf(first[role]) ?? contentOf(second[role])
    if (token) roles[role] = token
  }
  const named: Record<string, string> = {}
  const additional: string[] = []
  for (const key of ['additional_special_tokens', 'extra_special_tokens'] as const) {
    const value = first[key] ?? second[key]
    if (Array.isArray(value)) for (const entry of value) additional.push(contentOf(entry) ?? '')
    else if (typeof value === 'object' && value !== null)
      for (const [name, entry] of Object.entries(value)) {
        const token = contentOf(entry)
        if (token) named[name] = token
      }
  }
  return { roles, additional: [...new Set(additional.filter(Boolean))], named }
}

/** The added tokens that only the config's `added_tokens_decoder` knows, beside those of tokenizer.json. */
export function addedTokensOf(
  config: Record<string, unknown>,
  fromFile: readonly AddedTokenJson[],
  where: string,
): AddedTokenJson[] {
  const known = new Set(fromFile.map((token) => token.id))
  const decoder = config.added_tokens_decoder
  if (typeof decoder !== 'object' || decoder === null) return []
  return Object.entries(decoder).flatMap(([key, value]) => {
    const content = contentOf(value)
    if (content === undefined || known.has(Number(key))) return []
    const parsed = id.safeParse(Number(key))
    if (!parsed.success) throw invalidFile(`added_tokens_decoder: ${JSON.stringify(key)} is not an id`, { where })
    const flag = (name: string) => (value as Record<string, unknown>)[name] === true
    return [
      {
        id: parsed.data,
        content,
        single_word: flag('single_word'),
        lstrip: flag('lstrip'),
        rstrip: flag('rstrip'),
        normalized: flag('normalized'),
        special: flag('special'),
      },
    ]
  })
}
