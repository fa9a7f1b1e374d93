/** The tokens of one word. */
export interface WordTokens {
  ids: number[]
  /** Start and end of each token in units of the word, between characters. */
  spans: number[]
  /** What the tokens spell where the vocabulary does not say so: for unknown ones their own text. */
  texts?: (string | undefined)[]
}

/** Turns words into tokens. */
export interface Model {
  /** @throws {TunesmithError} `invalid_data` for text the vocabulary does not cover, where it has no unknown token. */
  tokenize(word: string): WordTokens
}

/** Words of at most this many units are remembered. */
const LONGEST = 256
const MOST = 1 << 16

/** A model that remembers the words it has seen; when there are too many it begins anew. */
export function remembering(model: Model): Model {
  const known = new Map<string, WordTokens>()
  return {
    tokenize(word) {
      let found = known.get(word)
      if (found !== undefined) return found
      found = model.tokenize(word)
      if (word.length <= LONGEST) {
        if (known.size >= MOST) known.clear()
        known.set(word, found)
      }
      return found
    },
  }
}
