import { checkKeys, invalidFile, type KnownKeys } from '@tunesmith/core'
import { z } from 'zod'

export const count = z.number().int().positive()

/** Gets a line about something in a file that is not used, or looks wrong. */
export type Warn = (line: string) => void

/** A JSON file of settings. Who knows a key reads it here, and checks it by that. */
export class ConfigFile {
  readonly #values: Readonly<Record<string, unknown>>
  readonly #used = new Set<string>()

  /**
   * @param defaults of keys that the file leaves out.
   * @param names the file's own names of keys, and what they are called here. Where it has both, the one from here counts.
   * @throws {TunesmithError} `invalid_file` for a file that holds no object.
   */
  constructor(
    readonly raw: unknown,
    readonly where: string,
    defaults: Readonly<Record<string, unknown>> = {},
    private readonly names: Readonly<Record<string, string>> = {},
  ) {
    if (typeof raw !== 'object' || raw === null || Array.isArray(raw))
      throw invalidFile('Not a usable configuration: it is no JSON object', { where })
    const renamed = Object.entries(names).flatMap(([own, name]) =>
      Object.hasOwn(raw, own) ? [[name, (raw as Record<string, unknown>)[own]]] : [],
    )
    this.#values = { ...defaults, ...Object.fromEntries(renamed), ...raw }
  }

  /** Whether the file itself has the key, under whichever name. */
  has(key: string): boolean {
    const own = Object.keys(this.names).filter((name) => this.names[name] === key)
    return [key, ...own].some((name) => Object.hasOwn(this.raw as object, name))
  }

  /** @throws {TunesmithError} `invalid_file` naming each key that is missing or wrong. */
  read<Shape extends z.ZodRawShape>(shape: Shape): z.output<z.ZodObject<Shape>> {
    for (const key of Object.keys(shape)) this.#used.add(key)
    const result = z.object(shape).safeParse(this.#values)
    if (result.success) return result.data
    const nameOf = (key: string) =>
      Object.keys(this.names).find((own) => this.names[own] === key && Object.hasOwn(this.raw as object, own)) ?? key
    const issues = result.error.issues
      .map(({ path: [key, ...inner], message }) => `"${[nameOf(String(key)), ...inner].join('.')}": ${message}`)
      .join('; ')
    throw invalidFile(`Not a usable configuration: ${issues}`, { where: this.where })
  }

  /** A switch; off when it is absent. */
  flag(key: string): boolean {
    return this.read({ [key]: z.boolean().nullish() })[key] ?? false
  }

  /** Reports the keys of the file that nobody has read: {@link checkKeys}. */
  checkRest(known: readonly KnownKeys[], remedy: string, warn: Warn): void {
    const { where } = this
    const used = [...this.#used, ...Object.keys(this.names).filter((own) => this.#used.has(this.names[own]!))]
    checkKeys({ values: this.raw as Record<string, unknown>, used, known, where, remedy, warn })
  }
}

/** Tokens that begin, end and pad a text. Any of several can end it; Llama 3 has three. */
export interface SpecialTokens {
  bosTokenId: number | undefined
  eosTokenIds: number[]
  padTokenId: number | undefined
}

const tokenId = z.number().int()

/**
 * Ids outside of the vocabulary, such as a `pad_token_id` of -1, stand for none.
 *
 * @param fallback where the file says nothing.
 */
export function readSpecialTokens(
  file: ConfigFile,
  vocabSize: number,
  warn: Warn,
  fallback?: SpecialTokens,
): SpecialTokens {
  const { bos_token_id, eos_token_id, pad_token_id } = file.read({
    bos_token_id: tokenId.nullish(),
    eos_token_id: z.union([tokenId, z.array(tokenId)]).nullish(),
    pad_token_id: tokenId.nullish(),
  })
  const inside = (key: string, ids: readonly number[]): number[] => {
    const outside = ids.filter((id) => id < 0 || id >= vocabSize)
    // A class default that a small vocabulary does not have is nobody's mistake.
    if (outside.length > 0 && file.has(key))
      warn(
        `${file.where}: "${key}" is ${outside.join(', ')}, outside of the vocabulary of ${vocabSize}, and counts as none`,
      )
    return ids.filter((id) => id >= 0 && id < vocabSize)
  }
  const one = (key: string, id: number | null | undefined) => (id == null ? undefined : inside(key, [id])[0])
  return {
    bosTokenId: one('bos_token_id', bos_token_id) ?? fallback?.bosTokenId,
    eosTokenIds: eos_token_id == null ? (fallback?.eosTokenIds ?? []) : inside('eos_token_id', [eos_token_id].flat()),
    padTokenId: one('pad_token_id', pad_token_id) ?? fallback?.padTokenId,
  }
}
