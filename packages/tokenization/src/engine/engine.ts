import type { AddedTokenJson } from './tokenizer-json'
import type { IdBuffer } from './units'

/** What turns text into ids. There are two: our own byte-pair encoding, and the library for everything else. */
export interface Engine {
  readonly name: 'bpe' | 'library'
  /** Why the library runs instead of our own engine. */
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
  /** The same, and for each id the range of UTF-16 units of `text` it stands for. */
  encodeWithOffsets(text: string, out: IdBuffer): [number, number][]
}
