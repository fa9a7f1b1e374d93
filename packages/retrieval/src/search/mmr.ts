/**
 * Maximal marginal relevance (J. Carbonell, J. Goldstein 1998): takes, one after the other, the candidate with the greatest
 * `lambda * relevance - (1 - lambda) * similarity` to what was taken before.
 *
 * @param relevance of each candidate, from 0 to 1.
 * @param lambda 1 keeps the order, 0 looks at diversity alone.
 * @returns positions of the chosen ones.
 */
export function maximalMarginalRelevance(
  relevance: readonly number[],
  similarity: (a: number, b: number) => number,
  { count, lambda }: { count: number; lambda: number },
): number[] {
  const left = new Set(relevance.keys())
  const nearest = new Float64Array(relevance.length)
  const chosen: number[] = []
  while (chosen.length < count && left.size > 0) {
    let best = -1
    let bestValue = Number.NEGATIVE_INFINITY
    for (const i of left) {
      const value = lambda * relevance[i]! - (1 - lambda) * nearest[i]!
      if (value > bestValue) [best, bestValue] = [i, value]
    }
    left.delete(best)
    chosen.push(best)
    for (const i of left) nearest[i] = Math.max(nearest[i]!, similarity(i, best))
  }
  return chosen
}

/** Cosine of two bags of words. */
export function wordCosine(a: readonly string[], b: readonly string[]): number {
  const count = (words: readonly string[]) => {
    const counts = new Map<string, number>()
    for (const word of words) counts.set(word, (counts.get(word) ?? 0) + 1)
    return counts
  }
  const [left, right] = [count(a), count(b)]
  const length = (counts: Map<string, number>) => Math.sqrt([...counts.values()].reduce((sum, n) => sum + n * n, 0))
  let dot = 0
  for (const [word, n] of left) dot += n * (right.get(word) ?? 0)
  const scale = length(left) * length(right)
  return scale > 0 ? dot / scale : 0
}
