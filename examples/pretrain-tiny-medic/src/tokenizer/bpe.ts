import { toByteCharacters } from './bytes'

/** How text is cut before merging: a single digit, a word, or a run of signs, each with the space before it. */
export const PIECE_PATTERN = ' ?\\p{N}| ?\\p{L}+| ?[^\\s\\p{L}\\p{N}]+|\\n+|\\s+(?!\\S)|\\s+'

/** How often each piece occurs in the texts. */
export function countPieces(texts: Iterable<string>): Map<string, number> {
  const pattern = new RegExp(PIECE_PATTERN, 'gu')
  const counts = new Map<string, number>()
  for (const text of texts)
    for (const [piece] of text.matchAll(pattern)) counts.set(piece, (counts.get(piece) ?? 0) + 1)
  return counts
}

interface Word {
  symbols: string[]
  count: number
}

const SEPARATOR = '\u0000'

/**
 * Byte pair encoding (Sennrich et al., 2016): again and again the pair of neighbours that occurs most often becomes a
 * symbol of its own. Ties go to the pair that comes first in string order, so that the result is the same everywhere.
 *
 * Only words that hold the merged pair are counted again, which makes a merge cost what its words cost.
 *
 * @returns the merges in order, each `[left, right]`.
 */
export function learnMerges(pieces: Map<string, number>, wanted: number): [string, string][] {
  const words: Word[] = [...pieces].map(([piece, count]) => ({ symbols: toByteCharacters(piece), count }))
  const counts = new Map<string, number>()
  const holders = new Map<string, Set<Word>>()
  const tally = (word: Word, sign: 1 | -1) => {
    for (let i = 0; i + 1 < word.symbols.length; i++) {
      const pair = word.symbols[i] + SEPARATOR + word.symbols[i + 1]
      counts.set(pair, (counts.get(pair) ?? 0) + sign * word.count)
      if (sign === 1) holders.set(pair, (holders.get(pair) ?? new Set()).add(word))
    }
  }
  for (const word of words) tally(word, 1)

  const merges: [string, string][] = []
  while (merges.length < wanted) {
    let best = ''
    let bestCount = 1
    for (const [pair, count] of counts)
      if (count > bestCount || (count === bestCount && best !== '' && pair < best)) [best, bestCount] = [pair, count]
    if (best === '') break
    const [left, right] = best.split(SEPARATOR) as [string, string]
    merges.push([left, right])
    for (const word of holders.get(best) ?? []) {
      tally(word, -1)
      word.symbols = merged(word.symbols, left, right)
      tally(word, 1)
    }
    counts.delete(best)
    holders.delete(best)
  }
  return merges
}

function merged(symbols: string[], left: string, right: string): string[] {
  const result: string[] = []
  for (let i = 0; i < symbols.length; i++) {
    if (symbols[i] === left && symbols[i + 1] === right) {
      result.push(left + right)
      i++
    } else result.push(symbols[i]!)
  }
  return result
}
