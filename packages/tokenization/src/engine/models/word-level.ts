import type { Model, WordTokens } from './model'
import { unknownId } from './word-piece'

/** Each word is a token of its own, or unknown. */
export class WordLevel implements Model {
  constructor(
    private readonly vocab: ReadonlyMap<string, number>,
    private readonly unknownToken: string,
    private readonly where: string,
  ) {}

  tokenize(word: string): WordTokens {
    const id = this.vocab.get(word) ?? unknownId(this.vocab, this.unknownToken, this.where)
    return { ids: [id], spans: [0, word.length] }
  }
}
