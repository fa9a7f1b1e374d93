import { invalidData } from '@tunesmith/core'
import type { Model, WordTokens } from './model'

export interface WordPieceSettings {
  unk_token: string
  continuing_subword_prefix: string
  max_input_chars_per_word: number
}

/** WordPiece: from the left, always the longest token that fits; a word with a rest that none fits is unknown as a whole. */
export class WordPiece implements Model {
  /** The longest token in units, which is as far as one has to look. */
  private readonly longest: number

  constructor(
    private readonly vocab: ReadonlyMap<string, number>,
    private readonly settings: WordPieceSettings,
    private readonly where: string,
  ) {
    let longest = 1
    for (const token of vocab.keys()) longest = Math.max(longest, token.length)
    this.longest = longest
  }

  tokenize(word: string): WordTokens {
    const { continuing_subword_prefix: prefix, max_input_chars_per_word: most } = this.settings
    if (word.length > most && (word.length > 2 * most || [...word].length > most)) return this.unknown(word)
    const ids: number[] = []
    const spans: number[] = []
    for (let start = 0; start < word.length; ) {
      let end = Math.min(word.length, start + this.longest)
      if (end < word.length && isLow(word, end)) end--
      let found: number | undefined
      while (end > start) {
        const part = word.slice(start, end)
        found = this.vocab.get(start === 0 ? part : prefix + part)
        if (found !== undefined) break
        end -= isLow(word, end - 1) ? 2 : 1
      }
      if (found === undefined) return this.unknown(word)
      ids.push(found)
      spans.push(start, end)
      start = end
    }
    return { ids, spans }
  }

  private unknown(word: string): WordTokens {
    return { ids: [unknownId(this.vocab, this.settings.unk_token, this.where)], spans: [0, word.length] }
  }
}

function isLow(text: string, unit: number): boolean {
  return (text.charCodeAt(unit) & 0xfc00) === 0xdc00
}

/** The id of the unknown token, which only text that needs it may miss. */
export function unknownId(vocab: ReadonlyMap<string, number>, token: string | null, where: string): number {
  const id = token === null ? undefined : vocab.get(token)
  if (id !== undefined) return id
  throw invalidData('The text has a word that is not in the vocabulary, and there is no unknown token', { where })
}
