import { Tokenizer as LibraryTokenizer } from '@huggingface/tokenizers'
import { TunesmithError } from '@tunesmith/core'
import type { Engine } from './engine'
import type { AddedTokenJson, TokenizerJson } from './tokenizer-json'
import type { IdBuffer } from './units'

/** `@huggingface/tokenizers` as it is, for the tokenizers our own engine does not cover (Unigram, WordPiece, and so on). */
export class LibraryEngine implements Engine {
  readonly name = 'library'
  private tokenizer!: LibraryTokenizer

  constructor(
    private readonly json: TokenizerJson,
    readonly reason: string,
    private readonly where: string,
  ) {
    this.setAddedTokens(json.added_tokens)
  }

  setAddedTokens(tokens: readonly AddedTokenJson[]): void {
    try {
      this.tokenizer = new LibraryTokenizer({ ...this.json, added_tokens: tokens }, {})
    } catch (error) {
      throw new TunesmithError(`This tokenizer cannot be used: ${(error as Error).message}`, {
        code: 'unsupported',
        where: this.where,
        cause: error,
      })
    }
  }

  normalizeToken(content: string): string {
    return content
  }

  encode(text: string, out: IdBuffer): void {
    if (text === '') return
    for (const id of this.tokenizer.encode(text, { add_special_tokens: false }).ids) {
      if (id === undefined)
        throw new TunesmithError('The text has a token that is not in the vocabulary, and there is no unknown token', {
          code: 'invalid_data',
          where: this.where,
        })
      out.push(id)
    }
  }

  encodeWithOffsets(): [number, number][] {
    throw new TunesmithError(`Offsets are not known for this kind of tokenizer: ${this.reason}`, {
      code: 'unsupported',
      where: this.where,
      remedy: 'Use a byte-pair encoding (the tokenizers of Llama, Mistral, Qwen, Gemma, Phi and GPT are)',
    })
  }
}
