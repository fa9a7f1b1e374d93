import type { TokenizerJson } from './engine/tokenizer-json'
import type { SpecialTokens } from './files/special-tokens'

/** What a tokenizer is made of, with all changes since it was loaded: what chats, saving and worker threads need of it. */
export interface TokenizerState {
  /** The parsed tokenizer.json, with tokens added since. */
  readonly json: TokenizerJson
  /** tokenizer_config.json as it was read. */
  readonly config: Record<string, unknown>
  /** Chat templates by name; the usual one is `default`. */
  readonly chatTemplates: Record<string, string>
  readonly specialTokens: SpecialTokens
  /** Where the files came from. */
  readonly where: string
}
