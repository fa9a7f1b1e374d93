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

// A gram is (gram one word shorter, last word); both fit one exact double below 2^53.
const WORD_SPACE = 2 ** 26

/** Names n-grams of word ids with small integers: a trie in one flat map, so no n-gram is ever joined to a string. */
export class NgramIndex {
  readonly #children = new Map<number, number>()
  #size = 0

  get size(): number {
    return this.#size
  }

  /**
   * Extends grams by one word each.
   *
   * @param shorter ids of the n-1-grams starting at each position; `null` for unigrams.
   * @returns ids of the n-grams at positions `0..words-n`; `-1` where unknown and not `add`.
   */
  extend(shorter: Int32Array | null, words: Int32Array, order: number, add: boolean): Int32Array {
    const count = Math.max(0, words.length - order + 1)
    const ids = new Int32Array(count)
    for (let i = 0; i < count; i++) {
      const prefix = shorter === null ? 0 : shorter[i] + 1
      const word = words[i + order - 1]
      if (word < 0 || (shorter !== null && prefix === 0)) {
        ids[i] = -1
        continue
      }
      const key = prefix * WORD_SPACE + word
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

/**
 * Clipped matches of every order up to `maxOrder` between a candidate and one or more references: each candidate n-gram
 * counts at most as often as in the reference that has it most often.
 *
 * @returns matches `[maxOrder]`, index 0 for unigrams.
 */
export function clippedMatches(
  candidate: readonly string[],
  references: readonly (readonly string[])[],
  maxOrder: number,
): number[] {
  const vocabulary = new Vocabulary()
  const index = new NgramIndex()
  const available: number[] = []
  for (const reference of references) {
    const words = vocabulary.encode(reference, true)
    let grams: Int32Array | null = null
    const counts = new Map<number, number>()
    for (let order = 1; order <= maxOrder; order++) {
      grams = index.extend(grams, words, order, true)
      if (references.length === 1) for (const gram of grams) available[gram] = (available[gram] ?? 0) + 1
      else for (const gram of grams) counts.set(gram, (counts.get(gram) ?? 0) + 1)
    }
    for (const [gram, count] of counts) available[gram] = Math.max(available[gram] ?? 0, count)
  }
  const words = vocabulary.encode(candidate, false)
  const matches = new Array<number>(maxOrder).fill(0)
  let grams: Int32Array | null = null
  for (let order = 1; order <= maxOrder; order++) {
    grams = index.extend(grams, words, order, false)
    for (const gram of grams) if (gram >= 0 && available[gram]-- > 0) matches[order - 1]++
  }
  return matches
}
