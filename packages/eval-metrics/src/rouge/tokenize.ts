import { porterStem } from './porter-stemmer'

const WORDS = /[a-z0-9]+/g

/** Stems seen so far. Natural language repeats itself; the bound only guards against endless streams of odd words. */
const stems = new Map<string, string>()
const MAX_STEMS = 200_000

function cachedStem(word: string): string {
  let stem = stems.get(word)
  if (stem === undefined) {
    stem = porterStem(word)
    if (stems.size >= MAX_STEMS) stems.clear()
    stems.set(word, stem)
  }
  return stem
}

/**
 * ROUGE's words: lower case, runs of a-z and 0-9 only (every other character separates), and, when stemming, words
 * longer than three characters reduced to their stem. Equal to rouge_score's default tokenizer.
 */
export function rougeTokens(text: string, useStemmer: boolean): string[] {
  const words = text.toLowerCase().match(WORDS) ?? []
  if (useStemmer) for (let i = 0; i < words.length; i++) if (words[i].length > 3) words[i] = cachedStem(words[i])
  return words
}
