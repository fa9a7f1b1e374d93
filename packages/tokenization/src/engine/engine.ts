import type { AddedTokenJson } from './tokenizer-json'
import type { IdBuffer } from './units'

/** Where the tokens of a text lie in it. */
export interface Placed {
  /** For each id the range of UTF-16 units of the text it stands for. */
  offsets: [number, number][]
  /** What each token spells, where that is not what the vocabulary has for its id; the rest is empty. */
  texts: (string | undefined)[]
}

/**
 * What turns text into ids: our own fast byte-pair encoding; our own general engine, which goes step by step as Rust does
 * and can do all model types; and the library, which runs only when asked for, where it is proven to be equal.
 */
export interface Engine {
  readonly name: 'bpe' | 'general' | 'library'
  /** Why it is not the fast engine that runs. */
  readonly reason: string | undefined
  setAddedTokens(tokens: readonly AddedTokenJson[]): void
  /** An added token's text as the normalizer leaves it: what `normalized` tokens are matched and spelled as. */
  normalizeToken(content: string): string
  /**
   * Appends the ids of well-formed `text`, without the post-processor's special tokens.
   *
   * @param continued the text goes on from other text: no marker of a beginning is put before it.
   */
  encode(text: string, out: IdBuffer, continued?: boolean): void
  /** The same, with the place of each token. */
  encodeWithOffsets(text: string, out: IdBuffer): Placed
}
