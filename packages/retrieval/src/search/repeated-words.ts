/** Scores by chunk, best first, of the chunks that have one of the words: of the best `limit`, or of those that are asked for. */
export type WordScores = (
  words: readonly string[],
  ask: { limit: number; among?: readonly string[] },
) => Promise<Scores>
type Scores = ReadonlyMap<string, number>

/**
 * The best chunks for a question in which words may stand several times. A repeated word counts as often, as in Lucene, and a search of the index
 * counts it once. So the score is a sum: of all words, of those that stand there at least twice, at least three times, and so on. Each sum has a
 * search of its own, and the lists are read until nothing outside of them can be among the best (R. Fagin, A. Lotem, M. Naor 2003).
 *
 * @returns more than `limit` where the lists held more.
 */
export async function scoreWords(
  words: readonly string[],
  limit: number,
  search: WordScores,
): Promise<{ key: string; score: number }[]> {
  const groups = byRepetition(words)
  if (groups.length === 0) return []
  for (let depth = groups.length > 1 ? 4 * limit : limit; ; depth *= 4) {
    const lists = await Promise.all(groups.map((group) => search(group, { limit: depth })))
    if (lists.length === 1) return [...lists[0]!].map(([key, score]) => ({ key, score }))
    // What a chunk outside of a list has there at most. A list that ended has all chunks of its words.
    const most = lists.map((list) => (list.size < depth ? 0 : [...list.values()].at(-1)!))
    const keys = [...new Set(lists.flatMap((list) => [...list.keys()]))]
    const sum = (key: string, of: readonly Scores[], outside: readonly number[]) =>
      of.reduce((total, list, i) => total + (list.get(key) ?? outside[i]!), 0)
    const none = most.map(() => 0)
    const enough = keys.map((key) => sum(key, lists, none)).sort((a, b) => b - a)[limit - 1] ?? 0
    const open = keys.filter((key) => sum(key, lists, most) >= enough)
    const full = await Promise.all(
      lists.map(async (list, i) => {
        const among = most[i] === 0 ? [] : open.filter((key) => !list.has(key))
        return among.length > 0
          ? new Map([...list, ...(await search(groups[i]!, { limit: among.length, among }))])
          : list
      }),
    )
    const scored = open.map((key) => ({ key, score: sum(key, full, none) })).sort((a, b) => b.score - a.score)
    const outside = most.reduce((total, score) => total + score, 0)
    if (most[0] === 0 || (scored[limit - 1]?.score ?? 0) > outside) return scored
  }
}

/** The words, then those that stand there at least twice, and so on. */
function byRepetition(words: readonly string[]): string[][] {
  const groups: string[][] = []
  const counts = new Map<string, number>()
  for (const word of words) {
    const before = counts.get(word) ?? 0
    counts.set(word, before + 1)
    groups[before] ??= []
    groups[before].push(word)
  }
  return groups
}
