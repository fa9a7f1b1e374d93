import { invalidOptions, rememberSecret } from '@tunesmith/core'

/** An access token that no log, message or JSON shows: only its closure holds the text. */
export interface Token {
  /** The value of an `Authorization` header. */
  authorization(): string
}

/**
 * @param source where the text came from, for the message.
 * @returns undefined for blank text.
 * @throws {TunesmithError} `invalid_options`, not showing the token, when no HTTP header could carry it.
 */
export function readToken(text: string, source: string): Token | undefined {
  const secret = text.trim()
  if (secret === '') return undefined
  if (!/^[\x21-\x7e]+$/.test(secret))
    throw invalidOptions('The Hub token has a character that no token has', {
      where: source,
      remedy: 'Copy it again from https://huggingface.co/settings/tokens; it is one word that starts with hf_',
    })
  rememberSecret(secret)
  return { authorization: () => `Bearer ${secret}` }
}
