/** Names words with small integers, in order of first sight. */
export class Vocabulary {
  readonly #ids = new Map<string, number>()

  get size(): number {
    return this.#ids.size
  }

  /** @returns one id per word; `-1` for unknown words unless `add`. */
  encode(words: readonly string[], add: boolean): Int32Array {
    const ids = new Int32Array(words.length)
    for (let i = 0; i < words.length; i++) {
      const known = this.#ids.get(words[i])
      if (known !== undefined) ids[i] = known
      else if (add) {
        ids[i] = this.#ids.size
        this.#ids.set(words[i], ids[i])
      } else ids[i] = -1
    }
    return ids
  }
}

/** Names n-grams of word ids with small integers: a trie in one flat map, so no n-gram is ever joined to a string. */
export class NgramIndex {
  readonly #children = new Map<number, number>()
  #size = 0

  /** @param words an upper bound of the word ids; the tighter, the smaller the keys, and small ones are fast. */
  constructor(readonly words: number) {}

  get size(): number {
    return this.#size
  }

  /**
   * Extends grams by one word each.
   *
   * @param shorter ids of the n-1-grams starting at each position; for n = 2 the words themselves.
   * @returns ids of the n-grams at positions `0..words-n`; `-1` where unknown and not `add`.
   */
  extend(shorter: Int32Array, words: Int32Array, order: number, add: boolean): Int32Array {
    const count = Math.max(0, words.length - order + 1)
    const ids = new Int32Array(count)
    // Bigrams begin with a word, longer grams with a gram; the offset keeps the two apart.
    const offset = order === 2 ? 0 : this.words
    for (let i = 0; i < count; i++) {
      const prefix = shorter[i]
      const word = words[i + order - 1]
      if (word < 0 || prefix < 0) {
        ids[i] = -1
        continue
      }
      const key = (prefix + offset) * this.words + word
      const known = this.#children.get(key)
      if (known !== undefined) ids[i] = known
      else if (add) {
        ids[i] = this.#size++
        this.#children.set(key, ids[i])
      } else ids[i] = -1
    }
    return ids
  }
}

/** How often each id occurs; `-1` is not counted. */
function countIds(ids: Int32Array, size: number): Int32Array {
  const counts = new Int32Array(size)
  for (const id of ids) if (id >= 0) counts[id]++
  return counts
}

/** For each id its highest count in any of the lists. */
function highestCounts(lists: readonly Int32Array[], size: number): Int32Array {
  const highest = countIds(lists[0] ?? new Int32Array(0), size)
  for (const list of lists.slice(1)) {
    const counts = countIds(list, size)
    for (let id = 0; id < size; id++) if (counts[id] > highest[id]) highest[id] = counts[id]
  }
  return highest
}

function takeMatches(ids: Int32Array, available: Int32Array): number {
  let matches = 0
  for (const id of ids) if (id >= 0 && available[id]-- > 0) matches++
  return matches
}

/**
 * Clipped matches of every order up to `maxOrder` between a candidate and one or more references: each candidate n-gram
 * counts at most as often as in the reference that has it most often.
 *
 * @param candidate word ids below `vocabularySize`, or -1 for words that no reference has. @param references likewise.
 * @returns matches `[maxOrder]`, index 0 for unigrams.
 */
export function clippedMatchesOfIds(
  candidate: Int32Array,
  references: readonly Int32Array[],
  vocabularySize: number,
  maxOrder: number,
): number[] {
  const matches = [takeMatches(candidate, highestCounts(references, vocabularySize))]
  const index = new NgramIndex(vocabularySize)
  let ours = candidate
  let theirs = references
  for (let order = 2; order <= maxOrder; order++) {
    theirs = theirs.map((grams, i) => index.extend(grams, references[i], order, true))
    ours = index.extend(ours, candidate, order, false)
    matches.push(takeMatches(ours, highestCounts(theirs, index.size)))
  }
  return matches.slice(0, maxOrder)
}

/** {@link clippedMatchesOfIds} for words as texts. */
export function clippedMatches(
  candidate: readonly string[],
  references: readonly (readonly string[])[],
  maxOrder: number,
): number[] {
  const vocabulary = new Vocabulary()
  const theirs = references.map((reference) => vocabulary.encode(reference, true))
  const ours = vocabulary.encode(candidate, false)
  return clippedMatchesOfIds(ours, theirs, vocabulary.size, maxOrder)
}
