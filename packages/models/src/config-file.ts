import { TunesmithError } from '@tunesmith/core'
import { z } from 'zod'

export const count = z.number().int().positive()
const tokenId = z.number().int().nonnegative()

/** A JSON file of settings. Who knows a key reads it here, and checks it by that. */
export class ConfigFile {
  readonly #values: unknown

  /** @param defaults of keys that the file leaves out. */
  constructor(
    readonly raw: unknown,
    readonly where: string,
    defaults: Readonly<Record<string, unknown>> = {},
  ) {
    this.#values = typeof raw === 'object' && raw !== null ? { ...defaults, ...raw } : raw
  }

  /** @throws {TunesmithError} `invalid_file` naming each key that is missing or wrong. */
  read<Shape extends z.ZodRawShape>(shape: Shape): z.output<z.ZodObject<Shape>> {
    const result = z.object(shape).safeParse(this.#values)
    if (result.success) return result.data
    const issues = result.error.issues.map((issue) => `"${issue.path.join('.')}": ${issue.message}`).join('; ')
    throw new TunesmithError(`Not a usable configuration: ${issues}`, { code: 'invalid_file', where: this.where })
  }

  /** A switch; off when it is absent. */
  flag(key: string): boolean {
    return this.read({ [key]: z.boolean().nullish() })[key] ?? false
  }
}

/** Tokens that begin, end and pad a text. Any of several can end it; Llama 3 has three. */
export interface SpecialTokens {
  bosTokenId: number | undefined
  eosTokenIds: number[]
  padTokenId: number | undefined
}

/** @param fallback where the file says nothing. */
export function readSpecialTokens(file: ConfigFile, fallback?: SpecialTokens): SpecialTokens {
  const { bos_token_id, eos_token_id, pad_token_id } = file.read({
    bos_token_id: tokenId.nullish(),
    eos_token_id: z.union([tokenId, z.array(tokenId)]).nullish(),
    pad_token_id: tokenId.nullish(),
  })
  return {
    bosTokenId: bos_token_id ?? fallback?.bosTokenId,
    eosTokenIds: [eos_token_id ?? fallback?.eosTokenIds ?? []].flat(),
    padTokenId: pad_token_id ?? fallback?.padTokenId,
  }
}
